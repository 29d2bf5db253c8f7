"""When Python looks for garbage, in processes that import a lot: libraries make a million objects for good."""

import gc

_YOUNG = 50_000
"""New objects between two looks; at Python's 700 imports take a third longer."""


def look_rarely() -> None:
    """Call it first. Objects that nothing refers to are freed at once all the same; only those in cycles wait."""
    gc.set_threshold(_YOUNG)


def look_no_more() -> None:
    """Call it last: else the interpreter looks through all that the libraries made before it ends, for 2 to 3 s."""
    gc.freeze()
