"""The runner starts real nodes, notices one that dies, and leaves no process behind."""

from __future__ import annotations

import os
import signal
import time

import psutil
import pytest

from sketch_cell.bringup import NodeSpec
from sketch_cell.runner import CellProcesses, NodeDied


@pytest.fixture
def parameters(tmp_path):
    path = tmp_path / "none.yaml"
    path.write_text("/**/nobody:\n  ros__parameters:\n    nothing: 0\n")
    return path


def nodes_of_this_process():
    children = psutil.Process().children(recursive=True)
    return [child for child in children if "sketch_cell.nodes" in " ".join(child.cmdline())]


def wait_until(reached, seconds=30.0):
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("name", "wrong", "words"),
    [
        ("line_planner", {"method": "scribble"}, "method is 'scribble'"),
        ("line_planner", {"cells": 0}, "cells out of range"),
        ("line_planner", {"frame": 5}, "frame is 5"),
    ],
)
def test_a_node_that_dies_is_named_with_its_last_words(parameters, tmp_path, name, wrong, words):
    bad = NodeSpec(name, "planning", parameters=wrong)
    died = pytest.raises(NodeDied, match=rf"(?s){name} ended with status 2.*{words}")
    with CellProcesses([bad], parameter_file=parameters, log_folder=tmp_path) as processes, died:
        wait_until(processes.check)
    assert not nodes_of_this_process()


def test_a_node_that_need_not_be_there_is_told_of_once(parameters, tmp_path):
    folder = tmp_path / "there"
    folder.mkdir()
    recorder = NodeSpec("recorder", "display", parameters={"folder": str(folder)}, required=False)
    told: list[str] = []
    with CellProcesses(
        [recorder], parameter_file=parameters, log_folder=tmp_path, tell=told.append
    ) as processes:
        wait_until(lambda: processes.check() or told)
        processes.check()
    (words,) = told
    assert "goes on without" in words
    assert "exists already" in words


def test_all_nodes_end_within_three_seconds(parameters, tmp_path):
    nodes = [NodeSpec("line_planner", "planning"), NodeSpec("picture_source", "planning")]
    with CellProcesses(nodes, parameter_file=parameters, log_folder=tmp_path) as processes:
        wait_until(lambda: len(nodes_of_this_process()) == 2)
        processes.check()
        time.sleep(0.5)
        begin_s = time.monotonic()
    assert time.monotonic() - begin_s < 3.0
    assert not nodes_of_this_process()


def test_nodes_end_with_a_runner_that_was_killed(parameters, tmp_path):
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        processes = CellProcesses(
            [NodeSpec("line_planner", "planning")], parameter_file=parameters, log_folder=tmp_path
        ).__enter__()
        os.write(write_end, str(processes.process_id("line_planner")).encode())
        time.sleep(60)
        os._exit(1)
    os.close(write_end)
    node = psutil.Process(int(os.read(read_end, 20)))
    wait_until(lambda: node.num_threads() > 3)  # rclpy is up
    os.kill(child, 9)
    os.waitpid(child, 0)
    wait_until(lambda: not node.is_running() or node.status() == psutil.STATUS_ZOMBIE)


def test_ctrl_c_waits_for_the_next_check_and_the_handlers_come_back(parameters, tmp_path):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with CellProcesses([], parameter_file=parameters, log_folder=tmp_path) as processes:
        signal.raise_signal(signal.SIGINT)  # nothing is raised here, where a callback could swallow it
        with pytest.raises(KeyboardInterrupt):
            processes.check()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
