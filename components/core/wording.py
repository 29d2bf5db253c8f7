"""How the sentences of every part put things."""

from collections.abc import Sequence


def listed(names: Sequence[str], *, most: int = 5) -> str:
    """The first of the names, `most` at most, and how many there are besides.

    >>> listed(["a", "b"]), listed(["a", "b", "c"], most=1)
    ('a, b', 'a and 2 more')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
