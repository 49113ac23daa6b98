"""The real launch of a twin cell under launch_testing: nodes come up in order, Ctrl-C leaves nothing behind."""

from __future__ import annotations

import unittest

import pytest

pytest.importorskip("launch_testing")
pytest.importorskip("launch_ros")

import launch_testing.actions
import launch_testing.asserts
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from launch import LaunchDescription
from sketch_cell.bringup import share_folder


@pytest.mark.launch_test
def generate_test_description() -> LaunchDescription:
    """The whole cell, as a person would start it."""
    source = PythonLaunchDescriptionSource(str(share_folder() / "launch" / "bringup.launch.py"))
    bringup = IncludeLaunchDescription(source, launch_arguments={"loop": "open"}.items())
    return LaunchDescription([bringup, launch_testing.actions.ReadyToTest()])


class TestWhileItRuns(unittest.TestCase):
    """What the nodes say once the launch file has configured and activated them."""

    def test_the_board_is_ready(self, proc_output):
        proc_output.assertWaitFor("is ready; home it", timeout=60)


@launch_testing.post_shutdown_test()
class TestAfterCtrlC(unittest.TestCase):
    """All processes ended by themselves."""

    def test_exit_codes(self, proc_info):
        launch_testing.asserts.assertExitCodes(proc_info)
