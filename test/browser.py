"""A headless Chromium for tests, cut off from every network but this computer; driven over its debugging pipe."""

from __future__ import annotations

import base64
import fcntl
import itertools
import json
import os
import shutil
import subprocess
import time

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """One page. Messages are JSON with a zero byte behind (Chrome DevTools Protocol, --remote-debugging-pipe)."""

    def __init__(self, profile):
        to_read, self._out = _high_pipe()
        self._in, from_write = _high_pipe()
        arguments = [
            CHROMIUM,
            "--headless=new",
            "--no-sandbox",
            "--remote-debugging-pipe",
            "--use-angle=swiftshader",
            "--enable-unsafe-swiftshader",
            "--window-size=1600,900",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost",
            f"--user-data-dir={profile}",
        ]
        # Chromium takes the pipe's ends as file descriptors 3 and 4.
        shell = ["bash", "-c", f'exec "$@" 3<&{to_read} 4>&{from_write}', "bash"]
        self._process = subprocess.Popen(
            [*shell, *arguments], pass_fds=(to_read, from_write), stderr=subprocess.DEVNULL
        )
        os.close(to_read)
        os.close(from_write)
        self._numbers, self._rest, self._session = itertools.count(1), b"", None
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def open(self, url):
        """Load a page. On a busy computer the browser otherwise refuses a picture while it changes pages."""
        self._ask("Page.enable")
        # The answer comes once the new page has taken the old one's place, so the next load is its own.
        self._ask("Page.navigate", url=url)
        self._message(lambda message: message.get("method") == "Page.loadEventFired", "load the page")

    def screenshot(self):
        """The page as PNG bytes."""
        return base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"])

    def close(self):
        self._process.terminate()
        self._process.wait(20)
        os.close(self._out)
        os.close(self._in)

    def _ask(self, method, **parameters):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        answer = self._message(lambda message: message.get("id") == number, f"answer {method}")
        assert "result" in answer, answer
        return answer["result"]

    def _message(self, is_wanted, what):
        """The next message that is wanted; those before it are dropped."""
        end = time.monotonic() + 120
        while time.monotonic() < end:
            while b"\0" in self._rest:
                one, self._rest = self._rest.split(b"\0", 1)
                message = json.loads(one)
                if is_wanted(message):
                    return message
            data = os.read(self._in, 1 << 16)
            assert data, "the browser ended"
            self._rest += data
        raise AssertionError(f"the browser did not {what}")


def _high_pipe():
    """A pipe whose ends are not 3 or 4 themselves."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return high
