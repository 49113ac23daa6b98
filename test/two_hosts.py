"""Two hosts on one: network namespaces joined by a link that loses and delays packets as asked (needs root).

The link is a process between two TUN devices, so that it needs no kernel module: what one host sends is an IP
packet here, which is dropped or handed on after its delay.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import random
import select
import signal
import struct
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

HOSTS = ("sketchcell-a", "sketchcell-b")
ADDRESSES = ("10.77.0.1", "10.77.0.2")
DEVICE = "link0"
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
CLONE_NEWNET = 0x40000000


class TwoHosts:
    """`with TwoHosts(loss=0.02, delay_s=0.02) as hosts: hosts.start(0, command)`."""

    def __init__(self, loss: float, delay_s: float) -> None:
        self._numbers = (str(loss), str(delay_s))
        self._processes: list[subprocess.Popen[bytes]] = []
        self.packets = self.dropped = 0

    def __enter__(self) -> TwoHosts:
        for host in HOSTS:
            run("ip", "netns", "add", host)
        try:
            self._link = subprocess.Popen(
                [sys.executable, __file__, *self._numbers], stdout=subprocess.PIPE, text=True
            )
            assert self._link.stdout is not None
            assert self._link.stdout.readline() == "up\n"
            for host, own, other in zip(HOSTS, ADDRESSES, reversed(ADDRESSES), strict=True):
                run("ip", "-n", host, "link", "set", "lo", "up")
                run("ip", "-n", host, "addr", "add", own, "peer", other, "dev", DEVICE)
                run("ip", "-n", host, "link", "set", DEVICE, "up", "txqueuelen", "10000")
                run("ip", "-n", host, "route", "add", "224.0.0.0/4", "dev", DEVICE)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGINT)
        for process in self._processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._link.terminate()
        words = self._link.communicate(timeout=5)[0].split()
        if len(words) == 2:
            self.packets, self.dropped = map(int, words)
        for host in HOSTS:
            subprocess.run(["ip", "netns", "del", host], check=False)

    def start(self, host: int, command: list[str], log: Path, **environment: str) -> subprocess.Popen[bytes]:
        """Run a command on one of the two hosts until the end."""
        with log.open("wb") as file:
            process = subprocess.Popen(
                ["ip", "netns", "exec", HOSTS[host], *command],
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
            )
        self._processes.append(process)
        return process


def possible() -> bool:
    """Whether this process may make network namespaces and TUN devices."""
    if os.geteuid() != 0 or not os.access("/dev/net/tun", os.W_OK):
        return False
    made = subprocess.run(["ip", "netns", "add", "sketchcell-try"], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "del", "sketchcell-try"], capture_output=True, check=False)
    return made.returncode == 0


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def tun_in(host: str) -> int:
    """A TUN device inside a namespace, its other end here."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/self/ns/net").open() as home, Path(f"/run/netns/{host}").open() as there:
        assert libc.setns(there.fileno(), CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), IFF_TUN | IFF_NO_PI))
        finally:
            assert libc.setns(home.fileno(), CLONE_NEWNET) == 0
    return device


def link(loss: float, delay_s: float) -> None:
    """Hand packets on until told to stop; then say how many came and how many were dropped."""
    ends = [tun_in(host) for host in HOSTS]
    other = {ends[0]: ends[1], ends[1]: ends[0]}
    chance = random.Random(1)
    under_way: list[tuple[float, int, int, bytes]] = []
    packets = dropped = 0
    stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    print("up", flush=True)
    while not stop:
        wait_s = min(under_way[0][0] - time.monotonic(), 0.1) if under_way else 0.1
        for end in select.select(ends, [], [], max(wait_s, 0.0))[0]:
            packets += 1
            data = os.read(end, 65536)
            if chance.random() < loss:
                dropped += 1
            else:
                heapq.heappush(under_way, (time.monotonic() + delay_s, packets, other[end], data))
        while under_way and under_way[0][0] <= time.monotonic():
            _, _, end, data = heapq.heappop(under_way)
            with suppress(OSError):  # the far end is not up yet, or has gone
                os.write(end, data)
    print(packets, dropped, flush=True)


if __name__ == "__main__":
    link(float(sys.argv[1]), float(sys.argv[2]))
