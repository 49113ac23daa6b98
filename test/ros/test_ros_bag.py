"""Recordings: what was written is read again, by this project's reader and by others; crashes and bad files."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from sketch_cell.errors import InputError, SketchCellError
from sketch_cell.ros.bag import Bag, Topic
from sketch_cell.ros.bag_writer import CHUNK_BYTES, BagWriter
from sketch_cell.ros.player import quality_of
from sketch_cell.ros.qos import LATCHED, RELIABLE, SENSOR
from sketch_cell.ros.recorder import definition, message_type, quality_in_words

START_NS = 1_700_000_000_000_000_000
# Every type that a node of the cell publishes.
KINDS = (
    "diagnostic_msgs/msg/DiagnosticArray",
    "diagnostic_msgs/msg/DiagnosticStatus",
    "geometry_msgs/msg/PoseWithCovarianceStamped",
    "lifecycle_msgs/msg/TransitionEvent",
    "nav_msgs/msg/Path",
    "rcl_interfaces/msg/Log",
    "rcl_interfaces/msg/ParameterEvent",
    "rosgraph_msgs/msg/Clock",
    "sensor_msgs/msg/CameraInfo",
    "sensor_msgs/msg/CompressedImage",
    "sensor_msgs/msg/Image",
    "sensor_msgs/msg/JointState",
    "sensor_msgs/msg/PointCloud2",
    "std_msgs/msg/Bool",
    "trajectory_msgs/msg/JointTrajectory",
    "visualization_msgs/msg/MarkerArray",
)


def type_hash(kind: str) -> str:
    """The hash that the installed package itself states."""
    package, folder, name = kind.split("/")
    about = json.loads((Path(sys.prefix) / "share" / package / folder / f"{name}.json").read_text())
    (found,) = [item["hash_string"] for item in about["type_hashes"] if item["type_name"] == kind]
    return str(found)


def topic(name: str = "/words", kind: str = "std_msgs/msg/String", quality: QoSProfile = RELIABLE) -> Topic:
    return Topic(name, kind, definition(kind), (quality_in_words(quality),), type_hash(kind))


def write(folder, messages, namespace=""):
    """A bag of (topic name, received [ns], bytes)."""
    bag = BagWriter(folder, namespace)
    numbers = {name: bag.add_topic(topic(name)) for name in dict.fromkeys(name for name, *_ in messages)}
    for name, received_ns, data in messages:
        bag.write(numbers[name], data, received_ns, received_ns - 1)
    bag.close()
    return bag


entries = st.lists(
    st.tuples(st.sampled_from(["/a", "/b/c"]), st.integers(1, 10**9), st.binary(max_size=60)),
    min_size=1,
    max_size=30,
)


@given(entries)
@settings(max_examples=25, deadline=None)
def test_what_was_written_is_read_in_the_order_of_receiving(tmp_path_factory, messages):
    folder = tmp_path_factory.mktemp("bags") / "bag"
    write(folder, messages, "/left")
    bag = Bag(folder)
    read = [(message.topic, message.received_ns, message.data) for message in bag]
    assert sorted(read) == sorted(messages)
    assert [received_ns for _, received_ns, _ in read] == sorted(
        received_ns for _, received_ns, _ in messages
    )
    assert (bag.first_ns, bag.last_ns) == (read[0][1], read[-1][1])
    assert bag.messages == len(messages)
    assert bag.namespace == "/left"
    assert not bag.cut_off


def test_another_library_reads_the_same(tmp_path):
    highlevel = pytest.importorskip("rosbags.highlevel")
    joints = JointState(name=["knob_x"], position=[1.25], velocity=[0.0], effort=[0.0])
    bag = BagWriter(tmp_path / "bag")
    number = bag.add_topic(topic("/joint_states", "sensor_msgs/msg/JointState", LATCHED))
    bag.write(number, serialize_message(joints), START_NS, START_NS - 7)
    bag.write(number, serialize_message(joints), START_NS + 10**9, START_NS + 10**9)
    bag.close()
    with highlevel.AnyReader([tmp_path / "bag"]) as reader:
        (connection,) = reader.connections
        assert (connection.topic, connection.msgcount) == ("/joint_states", 2)
        assert connection.ext.offered_qos_profiles[0].durability.name == "TRANSIENT_LOCAL"
        (_, stamp_ns, raw), _ = reader.messages()
        assert stamp_ns == START_NS
        message = reader.deserialize(raw, connection.msgtype)
        assert message.name == ["knob_x"]
        assert message.position.tolist() == [1.25]
        assert reader.duration == 10**9 + 1


@pytest.mark.parametrize("kind", KINDS)
def test_definitions_are_whole(kind):
    """Another library makes of the text the very type hash that ROS itself has for the type (REP 2011)."""
    typesys = pytest.importorskip("rosbags.typesys")
    store = typesys.get_typestore(typesys.Stores.EMPTY)
    store.register(typesys.get_types_from_msg(definition(kind), kind))
    assert store.hash_rihs01(kind) == type_hash(kind)


@pytest.mark.parametrize("quality", [LATCHED, RELIABLE, SENSOR])
def test_a_quality_of_service_comes_back_in_words_and_in_the_numbers_of_older_bags(quality):
    words = quality_in_words(quality)
    numbers = {**words, **{key: getattr(quality, key).value for key in ("durability", "reliability")}}
    for said in (words, numbers):
        offered = quality_of(Topic("/a", "std_msgs/msg/String", qualities=(said,)))
        assert offered.durability is quality.durability
        assert offered.reliability is quality.reliability


def test_the_metadata_has_the_fields_of_rosbag2(tmp_path):
    write(tmp_path / "bag", [("/a", START_NS, b"1"), ("/a", START_NS + 30, b"2")])
    about = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert about["version"] == 9
    assert about["storage_identifier"] == "mcap"
    assert about["relative_file_paths"] == ["bag_0.mcap"]
    assert about["duration"] == {"nanoseconds": 30}
    assert about["starting_time"] == {"nanoseconds_since_epoch": START_NS}
    assert about["topics_with_message_count"][0]["message_count"] == 2
    assert about["files"][0]["path"] == "bag_0.mcap"
    assert "&" not in (tmp_path / "bag" / "metadata.yaml").read_text()


@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_a_file_that_a_crash_cut_off_is_read_up_to_there(tmp_path, share):
    piece = bytes(CHUNK_BYTES // 4)
    write(tmp_path / "bag", [("/a", START_NS + k, piece) for k in range(40)])
    file = tmp_path / "bag" / "bag_0.mcap"
    (tmp_path / "bag" / "metadata.yaml").unlink()
    file.write_bytes(file.read_bytes()[: int(share * file.stat().st_size)])
    bag = Bag(tmp_path / "bag")
    assert bag.cut_off
    assert abs(bag.messages - share * 40) <= 5
    assert [message.received_ns - START_NS for message in bag] == list(range(bag.messages))


def test_memory_is_bounded_by_chunks(tmp_path):
    bag = BagWriter(tmp_path / "bag")
    number = bag.add_topic(topic())
    for k in range(10):
        bag.write(number, bytes(CHUNK_BYTES // 2), START_NS + k, START_NS)
    assert (tmp_path / "bag" / "bag_0.mcap").stat().st_size > 4 * CHUNK_BYTES
    bag.close()


def test_a_full_disk_is_said_once_and_ends_the_recording(tmp_path):
    class FullDisk:
        def __getattr__(self, name):
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self):
            raise OSError(errno.ENOSPC, "No space left on device")

    bag = BagWriter(tmp_path / "bag")
    number = bag.add_topic(topic())
    bag._writer._Writer__stream = FullDisk()
    with pytest.raises(SketchCellError, match="No space left on device"):
        for k in range(3):
            bag.write(number, bytes(CHUNK_BYTES), START_NS + k, START_NS)
    bag.write(number, b"", START_NS, START_NS)
    bag.close()
    assert not (tmp_path / "bag" / "metadata.yaml").exists()


def test_nothing_is_written_over(tmp_path):
    (tmp_path / "bag").mkdir()
    with pytest.raises(InputError, match="exists already"):
        BagWriter(tmp_path / "bag")


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "does not exist"), (b"", "holds no messages"), (b"no recording at all", "not an MCAP file")],
)
def test_what_is_no_recording_is_refused_in_one_sentence(tmp_path, content, words):
    path = tmp_path / "a.mcap"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words) as told:
        Bag(path)
    assert "\n" not in str(told.value)


def test_folders_without_a_recording_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"no \.mcap file"):
        Bag(tmp_path)
    about = {"rosbag2_bagfile_information": {"relative_file_paths": ["bag_0.db3"]}}
    (tmp_path / "metadata.yaml").write_text(yaml.safe_dump(about))
    with pytest.raises(InputError, match="only bags stored as MCAP"):
        Bag(tmp_path)


def test_what_rosbag2_has_packed_itself_is_refused(tmp_path):
    write(tmp_path / "bag", [("/a", START_NS, b"12345678")])
    file = tmp_path / "bag" / "metadata.yaml"
    file.write_text(file.read_text().replace("compression_mode: ''", "compression_mode: MESSAGE"))
    assert "MESSAGE" in file.read_text()
    with pytest.raises(InputError, match="compressed by rosbag2 itself"):
        Bag(tmp_path / "bag")


@pytest.mark.parametrize("leave_out", [{"use_statistics": False}, {"repeat_channels": False}])
def test_summaries_may_leave_things_out(tmp_path, leave_out):
    """As rosbag2's storage options noStatistics and noRepeatedChannels do."""
    from mcap.writer import Writer

    with (tmp_path / "a.mcap").open("wb") as stream:
        writer = Writer(stream, **leave_out)
        writer.start("ros2")
        schema = writer.register_schema("foxglove.CompressedImage", "protobuf", b"")
        channel = writer.register_channel("/camera", "protobuf", schema)
        for k in range(3):
            writer.add_message(channel, START_NS + k, b"12345678", START_NS + k)
        writer.finish()
    bag = Bag(tmp_path / "a.mcap")
    assert (bag.messages, bag.cut_off) == (3, False)
    assert len(list(bag)) == 3
    assert bag.topics["/camera"].kind == "foxglove.CompressedImage"


@pytest.mark.parametrize(
    "name", ["foxglove.CompressedImage", "std_msgs/String", "", "a/b/c", "std_msgs/msg/"]
)
def test_types_that_are_no_ros_2_messages_are_not_installed(name):
    assert message_type(name) is None


def test_a_recording_without_messages_says_so(tmp_path):
    BagWriter(tmp_path / "bag").close()
    with pytest.raises(InputError, match="no messages"):
        Bag(tmp_path / "bag")


def test_strings_survive(tmp_path):
    data = serialize_message(String(data="käse"))
    write(tmp_path / "bag", [("/words", START_NS, data)])
    (message,) = Bag(tmp_path / "bag")
    assert message.data == data


@pytest.mark.parametrize(
    "content", ["a: [", "x: 1", "rosbag2_bagfile_information: {}", "", "- 1", "\udcff\udcfe"]
)
def test_metadata_of_something_else_is_named(tmp_path, content):
    (tmp_path / "metadata.yaml").write_text(content, errors="surrogateescape")
    with pytest.raises(InputError, match=r"metadata\.yaml"):
        Bag(tmp_path)
