"""The doctor on healthy and on broken computers: each fault has its line, its remedy and its exit status."""

from __future__ import annotations

import importlib.util
import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from sketch_cell import bringup
from sketch_cell.commands import doctor as command
from sketch_cell.doctor import camera as camera_check
from sketch_cell.doctor import computer, examine, serial_ports, software
from sketch_cell.doctor.examine import Check, checks, run
from sketch_cell.doctor.finding import Finding, State, missing, ok, warning
from sketch_cell.ros import checkup
from sketch_cell.vision.capture import Capture


def only(findings: list[Finding]) -> Finding:
    assert len(findings) == 1, findings
    return findings[0]


@pytest.fixture
def port():
    """A character device that stands for a serial port."""
    master, slave = pty.openpty()
    yield Path(os.ttyname(slave))
    os.close(master)
    os.close(slave)


def not_allowed(monkeypatch):
    """Tests run as root in CI, who may open everything."""
    monkeypatch.setattr(os, "access", lambda *_: False)


# The way checks are run.


@pytest.mark.parametrize("check", checks("", ""), ids=lambda check: check.name)
def test_every_check_answers_here_with_findings_of_its_own_name(check):
    findings = run(check)
    assert findings
    for finding in findings:
        assert finding.check == check.name
        assert "the check itself" not in finding.text, finding


def test_a_check_that_hangs_is_given_up_and_said(monkeypatch):
    begun = time.monotonic()
    finding = only(run(Check("camera", "signal:pause", limit_s=0.5)))
    assert time.monotonic() - begun < 10
    assert finding.state is State.MISSING
    assert "no answer within 0.5 s" in finding.text
    assert "sketch_cell.doctor signal:pause" in finding.remedy


def test_a_check_that_crashes_is_a_finding_with_the_reason():
    finding = only(run(Check("ros", "os:abort")))
    assert finding.state is State.MISSING
    assert "signal 6" in finding.text
    finding = only(run(Check("ros", "no_such_module:f")))
    assert "ModuleNotFoundError: No module named 'no_such_module'" in finding.text


def test_what_a_library_prints_does_not_hide_the_findings():
    said = b"a library's banner\n" + examine.as_json([ok("disk", "12 GB free")]).encode() + b"\n"
    assert examine._findings(said) == [ok("disk", "12 GB free")]
    for nonsense in (b"", b"banner", b"[1]", b'[{"check": "disk"}]', b'[{"state": "fine"}]'):
        assert examine._findings(nonsense) == []


def test_findings_that_are_not_ok_say_what_to_do():
    with pytest.raises(ValueError, match="says what to do"):
        Finding("disk", State.WARNING, "full")


# The computer.


@pytest.mark.parametrize(
    ("version", "state"),
    [((3, 9), "missing"), ((3, 10), "ok"), ((3, 13), "ok"), ((3, 14), "warning"), ((4, 0), "warning")],
)
def test_python_versions(version, state):
    assert only(computer.python(version)).state.value == state


def test_shared_memory_that_is_small_absent_or_another_users(tmp_path, monkeypatch):
    assert only(computer.shared_memory(str(tmp_path / "none"))).state is State.WARNING
    assert only(computer.shared_memory(str(tmp_path))).state is State.OK
    (tmp_path / "fastdds_port7400").touch()
    assert only(computer.shared_memory(str(tmp_path))).state is State.OK
    not_allowed(monkeypatch)
    finding = only(computer.shared_memory(str(tmp_path)))
    assert "fastdds_port7400" in finding.text
    assert "sudo rm" in finding.remedy
    disk_of(monkeypatch, 1_000_000)
    assert "--shm-size" in only(computer.shared_memory(str(tmp_path))).remedy


def disk_of(monkeypatch, free):
    monkeypatch.setattr(computer.shutil, "disk_usage", lambda _: type("Usage", (), {"free": free}))


@pytest.mark.parametrize(
    ("free", "state"),
    [(5e9, "ok"), (1e9, "ok"), (9e8, "warning"), (1e8, "warning"), (9e7, "missing"), (0, "missing")],
)
def test_disks_filling_up(monkeypatch, tmp_path, free, state):
    disk_of(monkeypatch, int(free))
    assert {finding.state.value for finding in computer.disk(str(tmp_path))} == {state}


def test_a_folder_that_cannot_be_written(monkeypatch, tmp_path):
    not_allowed(monkeypatch)
    assert all(finding.state is State.MISSING for finding in computer.disk(str(tmp_path)))


def test_clocks(monkeypatch):
    monkeypatch.setattr(computer, "synchronised", lambda: True)
    monkeypatch.setattr(computer, "latest_waking_s", lambda: 0.02)
    assert {finding.state for finding in computer.clock()} == {State.OK}
    monkeypatch.setattr(computer, "synchronised", lambda: False)
    monkeypatch.setattr(computer, "latest_waking_s", lambda: 0.021)
    kept, waking = computer.clock()
    assert kept.state is waking.state is State.WARNING
    assert "chrony" in kept.remedy
    assert "21.0 ms" in waking.text
    monkeypatch.setattr(computer.time, "gmtime", lambda: type("Date", (), {"tm_year": 1970}))
    assert computer.clock()[0].state is State.MISSING


def test_an_unknown_user_has_no_name_but_a_line(monkeypatch):
    def nobody():
        raise KeyError("uid not found")

    monkeypatch.setattr(computer.getpass, "getuser", nobody)
    assert computer._user() == f"user {os.getuid()}"


# Software.


def test_a_library_that_is_absent_or_broken(monkeypatch):
    found = software.libraries({"no_such_library": "pip-name"}, {"neither_this": ("other", "films")})
    assert [finding.state for finding in found] == [State.MISSING, State.WARNING]
    assert "pip install pip-name" in found[0].remedy
    assert "needed for films" in found[1].text

    def broken(module):
        raise OSError("libGL.so.1: cannot open shared object file\nmore")

    monkeypatch.setattr(software.importlib, "import_module", broken)
    finding = only(software.libraries({"cv2": "opencv-python-headless"}, {}))
    assert finding.text == "cv2: libGL.so.1: cannot open shared object file"


@pytest.mark.parametrize("absent", ["rich", "numpy", "yaml"])
def test_the_doctor_can_say_that_what_others_use_is_absent(absent):
    code = (
        f"import sys; sys.modules[{absent!r}] = None\n"
        "import sketch_cell.commands.doctor\n"
        "from sketch_cell.doctor.examine import as_json\n"
        f"from sketch_cell.doctor.software import libraries\n"
        f"print(as_json(libraries({{{absent!r}: 'its-name'}}, {{}})))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    (finding,) = json.loads(told.stdout)
    assert finding["state"] == "missing"
    assert "pip install its-name" in finding["remedy"]


def test_two_releases_of_ros_at_once_are_told_apart(monkeypatch):
    monkeypatch.setitem(sys.modules, "nav_msgs.msg", None)
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    monkeypatch.setattr(sys, "prefix", "/somewhere/.venv")
    assert "get in each other's way" in only(checkup.packages()).remedy


def test_no_runtime_for_the_network(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    finding = only(software.jpeg_repair())
    assert finding.state is State.MISSING
    assert "onnxruntime" in finding.remedy


def test_a_package_without_its_configuration(monkeypatch, tmp_path):
    monkeypatch.setattr(bringup, "share_folder", lambda: tmp_path)
    assert only(software.package()).state is State.MISSING


# Serial ports.


def test_no_port_is_a_warning_unless_one_was_named(tmp_path):
    assert only(serial_ports.serial_ports(devices=str(tmp_path))).state is State.WARNING
    finding = only(serial_ports.serial_ports(str(tmp_path / "ttyUSB7")))
    assert finding.state is State.MISSING
    assert "ttyUSB7 does not exist" in finding.text


def test_every_port_is_looked_at(tmp_path):
    for name in ("ttyUSB0", "ttyACM1", "ttyS0"):
        (tmp_path / name).touch()
    found = serial_ports.serial_ports(devices=str(tmp_path), locks=str(tmp_path))
    assert [finding.text.split()[0].split("/")[-1] for finding in found] == ["ttyACM1", "ttyUSB0"]
    assert {finding.state for finding in found} == {State.OK}


def test_a_port_of_another_group_names_the_group_to_join(tmp_path, monkeypatch):
    port = tmp_path / "ttyUSB0"
    port.touch()
    not_allowed(monkeypatch)
    monkeypatch.setenv("USER", "ada")
    members: list[str] = []
    group = type("Group", (), {"gr_name": "dialout", "gr_mem": members})
    monkeypatch.setattr(serial_ports.grp, "getgrgid", lambda _: group)
    finding = only(serial_ports.serial_ports(str(port)))
    assert finding.state is State.MISSING
    assert finding.remedy == "sudo usermod -aG dialout ada, then log out and in again."
    members.append("ada")
    assert "log out and in again" in only(serial_ports.serial_ports(str(port))).remedy
    assert "usermod" not in only(serial_ports.serial_ports(str(port))).remedy


def test_a_port_in_use_names_the_program(port, tmp_path):
    finding = only(serial_ports.serial_ports(str(port), locks=str(tmp_path)))
    assert finding.state is State.MISSING
    assert f"process {os.getpid()} (" in finding.text


def test_lock_files_of_living_and_dead_programs(tmp_path):
    port = tmp_path / "ttyUSB0"
    port.touch()
    lock = tmp_path / "LCK..ttyUSB0"
    lock.write_text(f"{os.getpid():>10}\n")
    finding = only(serial_ports.serial_ports(str(port), locks=str(tmp_path)))
    assert finding.state is State.MISSING
    assert "is locked by process" in finding.text
    lock.write_text("4194305\n")  # above the highest process number there is
    finding = only(serial_ports.serial_ports(str(port), locks=str(tmp_path)))
    assert finding.state is State.WARNING
    assert finding.remedy == f"sudo rm {lock}"
    lock.write_text("nonsense")
    assert only(serial_ports.serial_ports(str(port), locks=str(tmp_path))).state is State.OK


# The camera.


def test_no_camera_is_a_warning_unless_one_was_named(tmp_path):
    assert only(camera_check.camera(devices=str(tmp_path))).state is State.WARNING
    assert only(camera_check.camera(str(tmp_path / "video0"))).state is State.MISSING


def test_a_device_that_gives_no_images(tmp_path, monkeypatch):
    (tmp_path / "video0").write_bytes(b"not a camera")
    monkeypatch.setattr(camera_check, "WATCH_S", 0.3)
    named = only(camera_check.camera(str(tmp_path / "video0")))
    assert named.state is State.MISSING
    assert "cannot be opened" in named.text
    assert only(camera_check.camera(devices=str(tmp_path))).state is State.WARNING
    not_allowed(monkeypatch)
    assert "may not be opened" in only(camera_check.camera(devices=str(tmp_path))).text


def test_a_camera_is_watched_for_size_and_rate(tmp_path, monkeypatch):
    device = tmp_path / "video0"
    device.touch()

    def read(_self):
        time.sleep(0.02)
        return np.full((480, 640), 120, np.uint8), 0.0, ""

    monkeypatch.setattr(Capture, "read", read)
    monkeypatch.setattr(camera_check, "WATCH_S", 0.5)
    images, rate_hz, problem = camera_check.watch(str(device))
    assert 5 < rate_hz <= 50
    assert len(images) <= 25
    assert not problem
    assert "640 x 480" in only(camera_check.camera(str(device))).text


@pytest.mark.parametrize(
    ("grey", "rate_hz", "width", "word"),
    [
        (120, 30, 640, ""),
        (120, 15, 320, ""),
        (5, 30, 640, "dark"),
        (250, 30, 640, "white"),
        (120, 14, 640, "slow"),
        (120, 30, 160, "size"),
    ],
)
def test_images_that_a_tracker_cannot_use(grey, rate_hz, width, word):
    finding = camera_check.judged("/dev/video0", np.full((480, width), grey, np.uint8), rate_hz)
    assert finding.state is (State.WARNING if word else State.OK)
    assert word in finding.text + finding.remedy


# ROS.


def test_ros_that_is_absent_or_broken(monkeypatch):
    monkeypatch.setitem(sys.modules, "nav_msgs.msg", None)
    finding = only(checkup.packages())
    assert finding.state is State.MISSING
    assert "nav_msgs.msg" in finding.text
    assert "setup.bash" in finding.remedy


@pytest.mark.parametrize(
    ("version", "name", "state"),
    [("7.1.5", "Jazzy", "ok"), ("9.1.2", "Kilted", "ok"), ("3.3.1", "Humble", "warning")],
)
def test_distributions(monkeypatch, version, name, state):
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    monkeypatch.setattr(checkup.importlib.metadata, "version", lambda _: version)
    finding = only(checkup.packages())
    assert finding.state.value == state
    assert name in finding.text
    monkeypatch.setenv("ROS_DISTRO", "rolling")
    assert "Rolling" in only(checkup.packages()).text


@pytest.mark.parametrize("domain", ["abc", "-1", "102", "1.5"])
def test_a_domain_that_is_not_one(monkeypatch, domain):
    monkeypatch.setenv("ROS_DOMAIN_ID", domain)
    finding = only(checkup.discovery())
    assert finding.state is State.MISSING
    assert domain in finding.text


def test_discovery_switched_off(monkeypatch):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "OFF")
    assert only(checkup.discovery()).state is State.MISSING


def test_nodes_that_do_not_hear_each_other(monkeypatch):
    monkeypatch.setattr(checkup, "_talk", lambda: (None, set()))
    finding = only(checkup.discovery())
    assert finding.state is State.MISSING
    assert "firewall" in finding.remedy


def test_a_cell_that_runs_already_is_seen(monkeypatch):
    monkeypatch.setattr(checkup, "_talk", lambda: (0.2, {"stepper_driver", "talker"}))
    heard, cell = checkup.discovery()
    assert heard.state is State.OK
    assert "(stepper_driver)" in cell.text


def test_who_else_may_hear(monkeypatch):
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    assert "other computers" in checkup._range_in_words()
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "localhost")
    assert checkup._range_in_words() == "this computer only"


# The command.


def invoke(monkeypatch, findings, *arguments, **environment):
    monkeypatch.setattr(command, "examine", lambda _: iter(findings))
    return CliRunner().invoke(command.doctor, list(arguments), env=environment)


def test_exit_0_only_where_nothing_essential_is_missing(monkeypatch):
    fine = [ok("python", "3.12"), warning("camera", "none", "Plug one in.")]
    result = invoke(monkeypatch, fine)
    assert result.exit_code == 0
    assert "A cell can run here, with 1 warning." in result.output
    result = invoke(monkeypatch, [*fine, missing("ros", "no rclpy", "source /opt/ros/jazzy/setup.bash")])
    assert result.exit_code == 1
    assert "-> source /opt/ros/jazzy/setup.bash" in result.output
    assert "1 essential thing is missing" in result.output


def test_json_is_one_object_on_standard_output(monkeypatch):
    result = invoke(monkeypatch, [missing("disk", "full", "Make room.")], "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["ready"] is False
    assert report["findings"] == [
        {"check": "disk", "state": "missing", "text": "full", "remedy": "Make room."}
    ]


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_on_a_terminal_only_where_they_are_wanted(monkeypatch, environment, coloured):
    forced = {"FORCE_COLOR": "1", "TERM": "xterm", **environment}  # FORCE_COLOR: as on a terminal
    assert ("\x1b[32m" in invoke(monkeypatch, [ok("disk", "[red] 1 GB")], **forced).output) is coloured


def test_no_colours_and_no_markup_in_a_pipe(monkeypatch):
    output = invoke(monkeypatch, [ok("disk", "[red] 1 GB")]).output
    assert "\x1b" not in output
    assert "[red] 1 GB" in output


def test_the_named_devices_reach_their_checks():
    wanted = {check.name: check.arguments for check in checks("/dev/ttyUSB3", "/dev/video4")}
    assert wanted["serial port"] == ("/dev/ttyUSB3",)
    assert wanted["camera"] == ("/dev/video4",)
