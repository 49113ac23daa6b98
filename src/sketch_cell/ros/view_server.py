"""The page of the live view and the stream behind it: rerun's own server, in a process of its own.

rerun's Python API would serve them too, but on every address of the computer; its command line can be told where.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

from sketch_cell.errors import InputError
from sketch_cell.packages import is_installed, pip_install

START_S = 20.0
END_S = 10.0
_LOOK_S = 0.05
_ANY_ADDRESS = ("0.0.0.0", "::")


class ViewServer:
    """Serves the page on `port` and takes and hands out the data on `stream_port`, until `close`."""

    def __init__(self, address: str, port: int, stream_port: int, memory_mb: int) -> None:
        """Start it and wait until it listens; raises InputError where it cannot."""
        if not is_installed("rerun"):
            raise InputError(f"the view needs the library rerun: {pip_install('rerun-sdk')}.")
        for number in (port, stream_port):
            _check_free(address, number)
        self._host = "localhost" if address in _ANY_ADDRESS else address
        self._ports = (port, stream_port)
        self.stream_url = f"rerun+http://{self._host}:{stream_port}/proxy"
        where = ["--bind", address, "--web-viewer-port", str(port), "--port", str(stream_port)]
        memory = ["--server-memory-limit", f"{memory_mb}MB"]
        # A session of its own: Ctrl-C is for the node, which then closes it.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "rerun", "--serve-web", "--hide-welcome-screen", *where, *memory],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._wait(address)
        except BaseException:  # Ctrl-C: nobody else could end what has been started
            self.close()
            raise

    def _wait(self, address: str) -> None:
        """Until it listens."""
        until_s = time.monotonic() + START_S
        while not all(map(self._listens, self._ports)):
            if self._process.poll() is not None or time.monotonic() > until_s:
                raise InputError(
                    f"the view cannot be served on {address}: `{sys.executable} -m rerun --serve-web` says why."
                )
            time.sleep(_LOOK_S)

    def close(self) -> None:
        """End the server; its ports are free again on return."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait()
        # That was rerun's own start-up script: the server which it started may take longer to end.
        until_s = time.monotonic() + END_S
        while any(map(self._listens, self._ports)) and time.monotonic() < until_s:
            time.sleep(_LOOK_S)

    def _listens(self, port: int) -> bool:
        with suppress(OSError), socket.create_connection((self._host, port), timeout=1.0):
            return True
        return False


def _check_free(address: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise InputError(
                f"the view cannot be served on {address}, port {port}: {error.strerror}. Choose another one."
            ) from error
