"""The tree of errors a user can meet.

LinewrightError
├── ConfigError             a line, settings or gate file, or an option, says something impossible
├── UnknownLineError        no such line in this workspace
├── UnknownVersionError     no such dataset or model version, verdict or sample
├── WorkspaceError          no workspace here, or one of another version
├── SourceError             the source folder, bucket or file cannot be used
├── IntegrityError          bytes are not the bytes that were recorded
├── NotEnoughDataError      the data cannot support what was asked of it
├── ConflictError           somebody else was first (lease, champion, decision)
├── RefusedError            a gate, a role or a missing key forbids it
├── ModelError              a model folder cannot be loaded or a detector cannot be fitted
└── UnavailableError        an outside system does not answer or is not installed

Every error carries what was wrong (`message`, with the value that was wrong) and what to do next (`hint`).
"""

import errno
from reprlib import Repr
from typing import TYPE_CHECKING

from .wording import masked

if TYPE_CHECKING:
    from pydantic import ValidationError
    from yaml import YAMLError

_SHORT = Repr()
"""Of values that users gave: aliases of YAML may make a small file a value without an end."""
_SHORT.maxstring = _SHORT.maxother = 200
_SHORT.maxlevel = 2

_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


class LinewrightError(Exception):
    """Root of all errors that Linewright raises on purpose.

    Args:
        message: What was wrong, with which value; one line.
        hint: What to do next; one line, may be empty.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class ConfigError(LinewrightError):
    """A file of settings or an option says something impossible."""


class UnknownLineError(LinewrightError):
    """No line of that name in this workspace."""


class UnknownVersionError(LinewrightError):
    """No dataset version, model version, verdict, sample or file of that name."""


class WorkspaceError(LinewrightError):
    """There is no workspace here, or it was made by another version."""


class SourceError(LinewrightError):
    """A source folder, bucket, file or row cannot be used at all."""


class IntegrityError(LinewrightError):
    """Bytes that were read back are not the bytes that were recorded."""


class NotEnoughDataError(LinewrightError):
    """The data cannot support what was asked of it; the message says how much would."""


class ConflictError(LinewrightError):
    """Another process or person was first; nothing was changed."""


class RefusedError(LinewrightError):
    """A gate, a role or a missing key forbids the act; nothing was changed."""


class ModelError(LinewrightError):
    """A model folder cannot be loaded, or a detector cannot be fitted on this data."""


class UnavailableError(LinewrightError):
    """An outside system or package that the act needs does not answer."""


def system_error(error: OSError) -> UnavailableError:
    """What the operating system refuses as one of ours: a full disk, a file of another user, a folder that is none."""
    place = f"{str(error.filename)!r} cannot be used" if error.filename else "The system refuses"
    if error.errno in _FULL:
        hint = "Free some space, then give the command again."
    elif error.errno in _FORBIDDEN:
        hint = "Let this user read and write it, or run as its owner."
    else:
        hint = "Mend that, then give the command again."
    return UnavailableError(f"{place}: {error.strerror or error}.", hint=hint)


def no_answer(database: str, error: BaseException) -> UnavailableError:
    """That the `database`, its URL without a password, gave `error` in place of an answer."""
    return UnavailableError(
        f"The database {database} does not answer: {first_line(error)}.", hint="Start it, or correct database.url."
    )


def no_yaml(origin: str, error: "YAMLError | UnicodeDecodeError") -> ConfigError:
    """That the text from `origin` is not YAML, and where."""
    problem, mark = getattr(error, "problem", None), getattr(error, "problem_mark", None)
    said = f"{problem} in line {mark.line + 1}" if problem and mark else first_line(error)
    return ConfigError(f"{origin} is not YAML: {said}.", hint="Correct the file.")


def first_line(error: BaseException) -> str:
    r"""What `error` says, its first line; the name of its kind where it says nothing.

    >>> first_line(TimeoutError()), first_line(ValueError("no such key\nmore"))
    ('TimeoutError', 'no such key')
    """
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def first_problem(error: "ValidationError") -> str:
    """The first thing that is wrong, as `place: what, got value`."""
    problem = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in problem["loc"]) or "the file"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    # What stands under an unknown name may be a password that was meant for a known one.
    got = "" if problem["type"] == "extra_forbidden" else f", got {masked(_SHORT.repr(problem['input']))}"
    return f"{place}: {problem['msg'].removeprefix('Value error, ')}{got}{more}"
