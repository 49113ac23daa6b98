"""The cable between board and computer, with its faults: damaged bytes, lost answers, a pulled plug."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sketch_cell.settings import Settings, setting


@dataclass(frozen=True)
class WireSettings(Settings):
    """Faults of the cable and of the board behind it; all may be switched on and off while it runs."""

    garbled_share: float = setting(0.0, "share of bytes damaged, both ways", minimum=0.0, maximum=1.0)
    lost_answers_share: float = setting(0.0, "share of `ok` that get lost", minimum=0.0, maximum=1.0)
    frozen: bool = setting(False, "the board hangs; it boots anew when it thaws")
    unplugged: bool = setting(False, "the cable is pulled; the board boots when it is plugged in again")


class Wire:
    """Damages what passes; seeded, so that equal bytes suffer equally."""

    def __init__(self, settings: WireSettings, seed: int = 0) -> None:
        self.settings = settings
        self._random = np.random.default_rng([seed, 0x31])

    def to_board(self, data: bytes) -> bytes:
        """What of `data` reaches the board."""
        return self._garbled(data)

    def to_host(self, data: bytes) -> bytes:
        """What of `data` reaches the computer."""
        share = self.settings.lost_answers_share
        if share and b"ok\r\n" in data:
            parts = data.split(b"ok\r\n")
            kept = [b"" if self._random.random() < share else b"ok\r\n" for _ in parts[1:]]
            data = b"".join(part + ok for part, ok in zip(parts, [*kept, b""], strict=True))
        return self._garbled(data)

    def _garbled(self, data: bytes) -> bytes:
        share = self.settings.garbled_share
        if not share or not data:
            return data
        values = np.frombuffer(data, np.uint8)
        hit = self._random.random(len(values)) < share
        return np.where(hit, self._random.integers(0, 256, len(values), np.uint8), values).tobytes()
