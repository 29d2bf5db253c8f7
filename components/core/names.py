"""Names: one slug rule for lines and actors, whose names become tags, paths and registry names; files' as UTF-8."""

import re

from .errors import ConfigError

# Windows reserves these as file names, and a line's name is a folder's name.
_RESERVED = {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))}
_SLUG = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_LONGEST = 48


def check_slug(name: str, *, what: str = "line name") -> str:
    """Return `name` if it is a slug: a lower-case letter, then letters, digits, single '-' or '_'; at most 48.

    Raises:
        ConfigError: It is not one, or is a name that some file system reserves.

    >>> check_slug("press-2")
    'press-2'
    """
    if len(name) <= _LONGEST and _SLUG.fullmatch(name) and name not in _RESERVED:
        return name
    raise ConfigError(
        f"{what} {name!r} is not allowed.",
        hint=f"Use a lower-case letter, then letters, digits and single '-' or '_', at most {_LONGEST}: 'press-2'.",
    )


def as_utf8(name: str) -> str:
    r"""A file's name as every store holds it: bytes that are no UTF-8 are written as escapes.

    >>> as_utf8("m\udcfcnchen.png")
    'm\\udcfcnchen.png'
    """
    return name.encode("utf-8", "backslashreplace").decode()
