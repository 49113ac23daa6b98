"""Writes a recording as rosbag2 does (see `bag.py`), message by message, so that a crash costs a chunk at most."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from sketch_cell import __version__
from sketch_cell.errors import InputError, SketchCellError
from sketch_cell.files import write_whole
from sketch_cell.ros.bag import NAMESPACE_KEY, Topic, check_mcap

METADATA_VERSION = 9
# A crash costs what was not yet in a whole chunk: at most this, a tenth of a second of camera images.
CHUNK_BYTES = 1 << 20


class BagWriter:
    """Writes one bag; memory is bounded by one chunk and its index, and a crash leaves every whole chunk."""

    def __init__(self, folder: Path, namespace: str = "") -> None:
        """Begin a bag in `folder`, which must be new; raises `InputError` where it is not or cannot be made."""
        check_mcap()
        check_new(folder)
        import mcap.writer as library

        self.folder = folder
        self.bytes = 0
        self._namespace = namespace
        self._file = folder / f"{folder.name}_0.mcap"
        self._topics: dict[int, Topic] = {}
        self._schemas: dict[str, int] = {}
        self._counts: Counter[int] = Counter()
        self._first_ns = self._last_ns = 0
        self._broken = False
        try:
            folder.mkdir(parents=True)
            # Not a whole file (files.py): what was recorded up to a crash is worth more than nothing.
            self._stream = self._file.open("wb")
        except OSError as error:
            raise InputError(f"{folder} cannot be made: {error.strerror}. Choose another folder.") from error
        none = library.CompressionType.NONE  # noise does not compress, and the cell needs its processor
        self._writer = library.Writer(self._stream, chunk_size=CHUNK_BYTES, compression=none)
        self._writer.start(profile="ros2", library=f"sketch_cell {__version__}")

    @property
    def messages(self) -> int:
        """Messages so far."""
        return self._counts.total()

    @property
    def topics(self) -> int:
        """Topics so far."""
        return len(self._topics)

    def add_topic(self, topic: Topic) -> int:
        """The number under which messages of this topic are written."""
        schema = self._schemas.get(topic.kind)
        if schema is None:
            schema = self._writer.register_schema(topic.kind, "ros2msg", topic.definition.encode())
            self._schemas[topic.kind] = schema
        metadata = {
            "offered_qos_profiles": _as_yaml(list(topic.qualities)),
            "topic_type_hash": topic.type_hash,
        }
        number = int(self._writer.register_channel(topic.name, "cdr", schema, metadata))
        self._topics[number] = topic
        return number

    def write(self, number: int, data: bytes, received_ns: int, sent_ns: int) -> None:
        """Append one message; raises `SketchCellError` where the disk takes no more, and takes none after that."""
        if self._broken:
            return
        try:
            self._writer.add_message(number, received_ns, data, sent_ns or received_ns)
        except OSError as error:
            raise self._disk_error(error) from error
        self._first_ns = min(self._first_ns or received_ns, received_ns)
        self._last_ns = max(self._last_ns, received_ns)
        self._counts[number] += 1
        self.bytes += len(data)

    def close(self) -> None:
        """Finish the file and write metadata.yaml."""
        if self._broken:
            with contextlib.suppress(OSError):
                self._stream.close()
            return
        metadata = {"rosbag2_bagfile_information": self._metadata()}
        try:
            text = _as_yaml(metadata["rosbag2_bagfile_information"])
            self._writer.add_metadata("rosbag2", {"serialized_metadata": text})
            self._writer.finish()
            self._stream.close()
        except OSError as error:
            raise self._disk_error(error) from error
        write_whole(self.folder / "metadata.yaml", _as_yaml(metadata))

    def _disk_error(self, error: OSError) -> SketchCellError:
        self._broken = True
        return SketchCellError(
            f"{self._file} cannot be written any more: {error.strerror}. Free some space; what was recorded up to "
            "now can be replayed."
        )

    def _metadata(self) -> dict[str, Any]:
        span = {
            "starting_time": {"nanoseconds_since_epoch": self._first_ns},
            "duration": {"nanoseconds": self._last_ns - self._first_ns},
            "message_count": self.messages,
        }
        topics = [
            {"topic_metadata": _topic_metadata(topic), "message_count": self._counts[number]}
            for number, topic in self._topics.items()
        ]
        return {
            "version": METADATA_VERSION,
            "storage_identifier": "mcap",
            **span,
            "topics_with_message_count": topics,
            "compression_format": "",
            "compression_mode": "",
            "relative_file_paths": [self._file.name],
            "files": [{"path": self._file.name, **span}],
            "custom_data": {NAMESPACE_KEY: self._namespace},
            "ros_distro": os.environ.get("ROS_DISTRO", ""),
        }


def _topic_metadata(topic: Topic) -> dict[str, Any]:
    return {
        "name": topic.name,
        "type": topic.kind,
        "serialization_format": "cdr",
        "offered_qos_profiles": list(topic.qualities),
        "type_description_hash": topic.type_hash,
    }


class _WithoutAnchors(yaml.SafeDumper):
    """Writes what occurs twice twice, as rosbag2 does."""

    def ignore_aliases(self, data: Any) -> bool:
        """Always."""
        return True


def _as_yaml(content: Any) -> str:
    return yaml.dump(content, Dumper=_WithoutAnchors, sort_keys=False)


def check_new(folder: Path) -> None:
    """Raise `InputError` where something is in the way of a new recording: none is ever written over."""
    if folder.exists():
        raise InputError(f"{folder} exists already: name another folder, or remove it first.")
