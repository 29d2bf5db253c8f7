"""Words that people use for labels and splits, in folders, labels files and label columns."""

import re

from ..core.contracts import Label, Split

_NORMAL = frozenset({
    "0", "0.0", "false", "normal", "good", "ok", "pass", "passed", "negative", "healthy", "no", "fine",
})  # fmt: skip
_ANOMALOUS = frozenset({
    "1", "1.0", "true", "anomalous", "anomaly", "anomalies", "abnormal", "bad", "ng", "nok", "fail", "failed", "defect",
    "defects", "defective", "positive", "faulty", "fault", "yes", "reject",
})  # fmt: skip
_DEFECT = ("anomal", "abnormal", "defect", "fault", "broken", "crack", "scratch", "contamin", "damag", "reject")
_WORDS = re.compile(r"[a-z]+")
_SPLITS = {
    "train": Split.TRAIN, "training": Split.TRAIN, "calibration": Split.CALIBRATION, "val": Split.VALIDATION,
    "valid": Split.VALIDATION, "validation": Split.VALIDATION, "test": Split.TEST, "testing": Split.TEST,
}  # fmt: skip


def label_of_word(word: str) -> Label | None:
    """The label that a cell means, or None.

    >>> label_of_word(" OK "), label_of_word("NG"), label_of_word("scratch") is None
    (<Label.NORMAL: 'normal'>, <Label.ANOMALOUS: 'anomalous'>, True)
    """
    plain = word.strip().lower()
    return Label.NORMAL if plain in _NORMAL else Label.ANOMALOUS if plain in _ANOMALOUS else None


def label_of_folder(name: str) -> Label | None:
    """The label that a folder's name means, or None where it says nothing; numbers say nothing.

    >>> label_of_folder("broken_large"), label_of_folder("2024-05-01") is None
    (<Label.ANOMALOUS: 'anomalous'>, True)
    """
    plain = name.strip().lower()
    if plain[:1].isdigit():
        return None
    known = label_of_word(plain)
    return known or (Label.ANOMALOUS if any(word.startswith(_DEFECT) for word in _WORDS.findall(plain)) else None)


def split_of_word(word: str) -> Split | None:
    """The split that a cell or a folder's name means, or None."""
    return _SPLITS.get(word.strip().lower())
