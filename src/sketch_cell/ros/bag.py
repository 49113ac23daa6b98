"""Recordings as rosbag2 keeps them: a folder with one MCAP file and metadata.yaml; nothing here needs ROS.

Format: rosbag2's `docs/message_definition_encoding.md`, `rosbag2_storage` (BagMetadata of version 9, that of
Jazzy and later) and the MCAP profile `ros2`: `cdr` messages, `ros2msg` schemas, the offered qualities of
service in each channel's metadata. `ros2 bag` and Foxglove open such a folder, and any MCAP reader its file.
`bag_writer.py` writes them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sketch_cell.errors import InputError
from sketch_cell.packages import is_installed

NAMESPACE_KEY = "namespace"  # of custom_data: the namespace of the cell that was recorded


@dataclass(frozen=True)
class Topic:
    """A topic as a bag describes it: `kind` is such as sensor_msgs/msg/Image, `definition` its text as ros2msg.

    `qualities` holds each publisher's quality of service in rosbag2's own words, `type_hash` is RIHS01_...
    """

    name: str
    kind: str
    definition: str = ""
    qualities: tuple[dict[str, Any], ...] = ()
    type_hash: str = ""


@dataclass(frozen=True)
class Recorded:
    """One message: when it was received [ns since 1970], and its CDR bytes."""

    topic: str
    received_ns: int
    data: bytes


def check_mcap() -> None:
    """Raise `InputError` where the library that reads and writes the files is not installed."""
    if not is_installed("mcap"):
        raise InputError("the library mcap is not installed: pip install mcap, or sketch_cell[record].")


class Bag:
    """A recording to read, by any rosbag2 recorder that wrote MCAP, whole or cut off by a crash.

    `topics` maps a topic's name to what the bag says of it; `namespace` is that of the recorded cell.
    """

    def __init__(self, path: Path) -> None:
        """Open a bag's folder or one .mcap file; raises `InputError` where there is none."""
        check_mcap()
        self._files, self.namespace = _files(path)
        self.topics: dict[str, Topic] = {}
        self.messages = 0
        self.first_ns, self.last_ns = 0, 0
        self.cut_off = False
        for file in self._files:
            self._survey(file)
        if not self.messages:
            raise InputError(f"{path} holds no messages: record for longer, beside a cell that runs.")

    def __iter__(self) -> Iterator[Recorded]:
        """Every message in the order in which they were received; memory is bounded by a chunk or two."""
        for file in self._files:
            with file.open("rb") as stream:
                messages = _in_order(stream) if _tells_all(_summary(stream)) else _as_written(stream)
                for channel, message in messages:
                    yield Recorded(channel.topic, message.log_time, message.data)

    def _survey(self, file: Path) -> None:
        """Learn topics and times from the summary, or, where a crash has cut it off, from all there is."""
        from mcap.exceptions import McapError

        with file.open("rb") as stream:
            try:
                summary = _summary(stream)
                if _tells_all(summary):
                    for channel in summary.channels.values():
                        self._note(channel, summary.schemas.get(channel.schema_id))
                    found = summary.statistics
                    self._extend(found.message_start_time, found.message_end_time, found.message_count)
                    return
                self.cut_off |= summary is None
                for _, message in _as_written(stream, self._note):
                    self._extend(message.log_time, message.log_time, 1)
            except McapError as error:
                raise InputError(f"{file} is not an MCAP file: {error}.") from error

    def _note(self, channel: Any, schema: Any) -> None:
        said = channel.metadata.get("offered_qos_profiles", "")
        qualities = tuple(yaml.safe_load(said) or ()) if said else ()
        kind = schema.name if schema is not None else ""
        definition = schema.data.decode(errors="replace") if schema is not None else ""
        hash_ = channel.metadata.get("topic_type_hash", "")
        self.topics[channel.topic] = Topic(channel.topic, kind, definition, qualities, hash_)

    def _extend(self, first_ns: int, last_ns: int, count: int) -> None:
        if count:
            self.first_ns = min(self.first_ns or first_ns, first_ns)
            self.last_ns = max(self.last_ns, last_ns)
            self.messages += count


def _files(path: Path) -> tuple[list[Path], str]:
    """A bag's files in order, and the namespace that was recorded."""
    if path.is_file():
        return [path], ""
    if not path.is_dir():
        raise InputError(f"{path} does not exist: name the folder of a recording, or its .mcap file.")
    metadata = path / "metadata.yaml"
    if metadata.is_file():
        try:
            about = yaml.safe_load(metadata.read_text(encoding="utf-8"))["rosbag2_bagfile_information"]
            files = [path / name for name in about["relative_file_paths"]]
            namespace = (about.get("custom_data") or {}).get(NAMESPACE_KEY, "")
            compression = about.get("compression_mode") or "NONE"
        except (yaml.YAMLError, KeyError, TypeError, AttributeError, UnicodeDecodeError, OSError) as error:
            raise InputError(
                f"{metadata} is not what a recorder writes ({type(error).__name__}): remove it, and the .mcap files "
                "beside it are played as they are."
            ) from error
        # What MCAP itself packs, by chunks, its reader unpacks; rosbag2's own packing hides each message's bytes.
        if compression.upper() != "NONE":
            raise InputError(
                f"{path} is compressed by rosbag2 itself (mode {compression.lower()}): unpack it with ros2 bag "
                "convert, or record with MCAP's own compression."
            )
        return _existing(files), namespace
    files = sorted(path.glob("*.mcap"))  # the recorder was killed before it could say what it wrote
    if not files:
        raise InputError(f"{path} has no .mcap file in it: name the folder of a recording.")
    return files, ""


def _existing(files: Sequence[Path]) -> list[Path]:
    for file in files:
        if not file.is_file() or file.suffix != ".mcap":
            raise InputError(f"{file} is no .mcap file that is there: only bags stored as MCAP can be read.")
    return list(files)


def _summary(stream: Any) -> Any:
    """The summary at a file's end, None where it was cut off before."""
    from mcap.exceptions import InvalidMagic, McapError
    from mcap.reader import SeekingReader

    stream.seek(0)
    try:
        return SeekingReader(stream).get_summary()
    except InvalidMagic:
        raise
    except (McapError, OSError, struct.error, ValueError):
        return None


def _tells_all(summary: Any) -> bool:
    """Whether a summary has what a recorder may leave out of it: statistics, and the channels once more."""
    return summary is not None and summary.statistics is not None and bool(summary.channels)


def _in_order(stream: Any) -> Iterator[tuple[Any, Any]]:
    from mcap.reader import SeekingReader

    stream.seek(0)
    for _, channel, message in SeekingReader(stream).iter_messages():
        yield channel, message


def _as_written(stream: Any, note: Any = None) -> Iterator[tuple[Any, Any]]:
    """What a cut file still holds, in the order of writing: to 20 ms that of receiving."""
    from mcap.exceptions import InvalidMagic, McapError
    from mcap.records import Channel, Message, Schema
    from mcap.stream_reader import StreamReader

    stream.seek(0)
    schemas, channels = {}, {}
    try:
        for record in StreamReader(stream).records:
            if isinstance(record, Schema):
                schemas[record.id] = record
            elif isinstance(record, Channel):
                channels[record.id] = record
                if note is not None:
                    note(record, schemas.get(record.schema_id))
            elif isinstance(record, Message):
                yield channels[record.channel_id], record
    except InvalidMagic:
        raise
    except (McapError, struct.error, ValueError):
        return  # here it was cut
