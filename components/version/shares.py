"""How many samples each split should have, and which one a unit goes to."""

from collections.abc import Mapping

from components.core.contracts import Split
from components.core.lines import Shares

# Labelled anomalies are rare: half of them, or more, stay for the test that nobody has seen; a detector of tables may
# learn from some of the rest, one of images only from those that the source puts into train.
ANOMALOUS_TABLES = {Split.TRAIN: 0.2, Split.VALIDATION: 0.3, Split.TEST: 0.5}
ANOMALOUS_IMAGES = {Split.VALIDATION: 0.4, Split.TEST: 0.6}
_LEAST = 3
_KEPT = 0.5


def normal_shares(shares: Shares, *, sealed: bool) -> dict[Split, float]:
    """Shares of normal samples; that of test goes to train where the source brings its own sealed test set.

    >>> round(normal_shares(Shares(), sealed=True)[Split.TRAIN], 6)
    0.7
    """
    declared = {
        Split.TRAIN: shares.train + (shares.test if sealed else 0.0),
        Split.CALIBRATION: shares.calibration,
        Split.VALIDATION: shares.validation,
        Split.TEST: 0.0 if sealed else shares.test,
    }
    total = sum(declared.values())
    return {split: share / total for split, share in declared.items() if share > 0}


def anomalous_shares(shares: Mapping[Split, float], *, along: float) -> Mapping[Split, float]:
    """`shares` of anomalies, more of them in train where else it would lose the normal samples they bring along.

    Where each machine failed once, the splits of anomalies are those of normal samples, too: train, which is to
    learn what is normal, would keep a fifth. It, and calibration, which takes no anomaly, keep half of them.

    Args:
        shares: Split → wanted share; unchanged where anomalies may not be in train.
        along: Share of the normal samples that lie in units with anomalies.

    >>> found = anomalous_shares(ANOMALOUS_TABLES, along=1.0)
    >>> [round(found[split], 6) for split in (Split.TRAIN, Split.VALIDATION, Split.TEST)]
    [0.5, 0.1875, 0.3125]
    """
    usual = shares.get(Split.TRAIN, 0.0)
    if not usual or along * (1 - usual) <= 1 - _KEPT:
        return shares
    away = (1 - _KEPT) / along / (1 - usual)
    return {split: 1 - away * (1 - usual) if split == Split.TRAIN else away * share for split, share in shares.items()}


class Shelf:
    """Places units one by one; each goes to the split that lacks most.

    Every wanted split gets at least three samples where there are enough for train to keep half, and one unit where
    there are enough units.

    Args:
        shares: Split → wanted share; they sum to 1.
        have: Split → samples that it holds already.
        coming: Samples of all units to be placed.
        units: Units to be placed.
    """

    def __init__(self, shares: Mapping[Split, float], *, have: Mapping[str, int], coming: int, units: int) -> None:
        self._held = {split: int(have.get(str(split), 0)) for split in shares}
        total = sum(self._held.values()) + coming
        least = min(_LEAST, total // (2 * len(shares)))
        wanted = {split: max(share * total, least) for split, share in shares.items()}
        first = next(iter(shares))
        wanted[first] = total - sum(count for split, count in wanted.items() if split is not first)
        self._wanted = _level(wanted, self._held)
        self._units = units

    def place(self, size: int) -> str:
        """The split of the next unit, of `size` samples."""
        empty = [split for split, held in self._held.items() if not held]
        # As many units left as splits without any: each must get one.
        choice = empty if empty and self._units <= len(empty) else list(self._held)
        chosen = max(choice, key=lambda split: self._wanted[split] - self._held[split])
        self._held[chosen] += size
        self._units -= 1
        return str(chosen)


def _level(wanted: Mapping[Split, float], held: Mapping[Split, int]) -> dict[Split, float]:
    """`wanted` with the same sum, where splits that hold more than that leave the others less, in proportion.

    Units with anomalies bring normal samples to validation and test; without this the largest split would get all that
    is left, and the others nothing.

    >>> _level({Split.TRAIN: 60.0, Split.CALIBRATION: 20.0, Split.TEST: 20.0}, {Split.TEST: 60})[Split.CALIBRATION]
    10.0
    """
    target, full = dict(wanted), set[Split]()
    while over := {split for split in target if split not in full and held.get(split, 0) > target[split]}:
        full |= over
        rest = sum(wanted.values()) - sum(held[split] for split in full)
        open_ = sum(wanted[split] for split in wanted if split not in full)
        target = {split: held[split] if split in full else wanted[split] * rest / open_ for split in wanted}
    return target
