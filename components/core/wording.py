"""How the sentences of every part put things."""

import re
from collections.abc import Sequence


def listed(names: Sequence[str], *, most: int = 5) -> str:
    """The first of the names, `most` at most, and how many there are besides.

    >>> listed(["a", "b"]), listed(["a", "b", "c"], most=1)
    ('a, b', 'a and 2 more')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def masked(text: str) -> str:
    """`text` without the users and passwords of the URLs in it.

    >>> masked("postgresql://linewright:s3cret@db/records")
    'postgresql://***@db/records'
    """
    return re.sub(r"//[^/\s]*@", "//***@", text)
