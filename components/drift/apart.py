"""What is said where groups are too few for a test: how far old ones lie from each other, and the shares of alarms."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.drift.distances import Vector
from components.drift.pooling import Pool, Quantity
from components.drift.window import DriftWindow


def among_old(quantity: Quantity, *, both: Pool) -> Vector:
    """``(G,)``: the distance of each of G old groups from the others, where there are two or more.

    A new group that is like them lies farther than each in one quantity with a chance of 1 / (G + 1). Over many
    quantities at once some do, so that this orders them and decides nothing.
    """
    groups = both.groups[~both.new]
    each = groups[None] == np.unique(groups)[:, None]
    return replace(quantity, values=quantity.values[~both.new]).distance(each)


def alarms(reference: DriftWindow, current: DriftWindow) -> str:
    """The share of new samples above the threshold, beside those of the reference and of its groups."""
    old = reference.scores > reference.threshold
    groups = _shares(old, reference.groups)
    most = f", and at most {groups.max():.1%} of one of its {len(groups)} groups" if len(groups) > 1 else ""
    new = current.scores > current.threshold
    return f"{new.mean():.1%} of the new samples score above the threshold, {old.mean():.1%} of the reference{most}"


def _shares(above: NDArray[np.bool_], groups: NDArray[Any]) -> Vector:
    _, index = np.unique(groups, return_inverse=True)
    shares: Vector = np.bincount(index, above) / np.bincount(index)
    return shares
