"""The errors a user can meet: one sentence each that names the thing, the reason and the next step."""


class SketchCellError(Exception):
    """Base of every error meant for a person to read; `str(error)` is the whole sentence."""

    exit_status = 1


class InputError(SketchCellError, ValueError):
    """Something the user gave (a file, a setting, a port) cannot be used; nothing was changed."""

    exit_status = 2


class SettingError(InputError):
    """A setting has a value outside its range, choices or type."""


class MachineError(SketchCellError):
    """The machine refused, failed or went silent; the sentence says what to do about it."""
