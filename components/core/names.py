"""The slug rule: line names and actors become tags, paths and registry names, so one rule fits all of them."""

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
