"""Newest first: what is overtaken is dropped and counted, the newest is always done, failures are not silent."""

from __future__ import annotations

import threading

import pytest

from sketch_cell.ros.newest import NewestFirst


class SlowWork:
    """Work that ends when the test lets it."""

    def __init__(self):
        self.done = []
        self.begun, self.go = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, data):
        self.begun.release()
        assert self.go.acquire(timeout=5)
        self.done.append(data)


def test_frames_overtaken_by_newer_ones_are_dropped_and_counted():
    work = SlowWork()
    queue = NewestFirst(work)
    queue.offer(b"1")
    assert work.begun.acquire(timeout=5)
    for data in (b"2", b"3", b"4"):
        queue.offer(data)
    work.go.release()
    assert work.begun.acquire(timeout=5)
    work.go.release()
    queue.close()
    assert work.done == [b"1", b"4"]
    assert queue.dropped == 2


def test_nothing_is_begun_after_the_end():
    work = SlowWork()
    queue = NewestFirst(work)
    queue.close()
    queue.offer(b"1")
    assert not work.begun.acquire(timeout=0.05)


def test_a_failure_comes_out_at_the_next_offer():
    failed = threading.Event()

    def fail(data):
        failed.set()
        raise ValueError("no such thing")

    queue = NewestFirst(fail)
    queue.offer(b"1")
    assert failed.wait(5)
    queue._thread.join(5)
    with pytest.raises(ValueError, match="no such thing"):
        queue.offer(b"2")
