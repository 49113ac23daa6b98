"""Where pictures come from: a file, a folder that is watched, or a camera device."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import cv2

from sketch_cell.errors import InputError
from sketch_cell.picture.read import read_photo
from sketch_cell.settings import Settings, setting

# What cv2 and Pillow both decode; other files in a watched folder are none of our business.
SUFFIXES = {".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff"}
CAMERA_JPEG_QUALITY = 95


@dataclass(frozen=True)
class PictureSettings(Settings):
    """Where `picture_source` looks, how often, and what it refuses."""

    photo: str = setting("", "a picture file, a folder to watch, or a camera device such as /dev/video0")
    period_s: float = setting(
        1.0, "how often to look for something new", unit="s", minimum=0.05, maximum=3600.0
    )
    max_megapixels: float = setting(
        64.0, "larger pictures are refused before they are decoded", unit="MP", minimum=0.0001, maximum=1000.0
    )


@dataclass(frozen=True)
class Picture:
    """A picture file's own bytes, checked to be a whole picture."""

    name: str
    data: bytes
    file_format: str


class PictureSource:
    """Hands out each new picture of one place once."""

    def __init__(self, settings: PictureSettings) -> None:
        self._settings = settings
        self._seen: set[tuple[Path, int, int]] = set()
        self._camera: cv2.VideoCapture | None = None

    def look_elsewhere(self, settings: PictureSettings) -> None:
        """Go on with other settings: in another place everything is new, in the same one only what was."""
        if settings.photo != self._settings.photo:
            self._seen.clear()
            self._camera = None
        self._settings = settings

    def next_picture(self) -> Picture | None:
        """The next new picture, or None; raises `InputError` once for each one that is no good."""
        if not self._settings.photo:
            return None
        try:
            return self._next(Path(self._settings.photo))
        except OSError as error:
            raise InputError(
                f"{self._settings.photo} cannot be looked at: {error.strerror}. Check its name and permissions."
            ) from error

    def _next(self, place: Path) -> Picture | None:
        if place.is_char_device():
            return self._from_camera(place)
        if not place.exists():
            raise InputError(f"{place} does not exist: give a picture file, a folder or a camera device.")
        for path in _files(place):
            picture = self._from_file(path)
            if picture is not None:
                return picture
        return None

    def _from_file(self, path: Path) -> Picture | None:
        facts = path.stat()
        # A file that changes is new again: a copy under way is refused, and taken when it is whole.
        key = (path, facts.st_mtime_ns, facts.st_size)
        if key in self._seen:
            return None
        self._seen.add(key)
        name = os.fsencode(path).decode(errors="replace")
        if name != str(path):
            raise InputError(f"{name} has a name that is not UTF-8, which messages must have. Rename it.")
        data = load_photo_file(path, self._settings.max_megapixels)
        return Picture(str(path), data, file_format(path))

    def _from_camera(self, device: Path) -> Picture:
        if self._camera is None:
            self._camera = cv2.VideoCapture(str(device))
        taken, frame = self._camera.read()
        if not taken:
            self._camera = None
            raise InputError(f"{device} gives no picture: check that it is a camera and that nobody uses it.")
        encoded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, CAMERA_JPEG_QUALITY])[1]
        return Picture(str(device), encoded.tobytes(), "jpeg")


def load_photo_file(path: Path, max_megapixels: float) -> bytes:
    """The bytes of a picture file that was seen to decode whole; raises `InputError` naming the file."""
    try:
        data = path.read_bytes()
        read_photo(data, max_megapixels)
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}. Check its name and permissions."
        ) from error
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return data


def file_format(path: Path) -> str:
    """The format of a picture file as sensor_msgs/CompressedImage names it, by its suffix."""
    return path.suffix.lower().lstrip(".").replace("jpg", "jpeg")


def _files(place: Path) -> list[Path]:
    if place.is_dir():
        return sorted(path for path in place.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    return [place]
