"""What to call a drift: the camera or its light, the product, both, or for tables the sensor or process."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from components.core.drift_report import DriftFeature
from components.drift.distances import Vector
from components.drift.permutation import null_distribution
from components.drift.pooling import Pool, Quantity

CAMERA = "camera or lighting"
PRODUCT = "product"
BOTH = "both"
SENSOR = "sensor or process"
SCORES_ONLY = "scores only"


def kind_of(
    pool: Pool, drifted: Sequence[DriftFeature], *, level: float, min_effect: float, rng: np.random.Generator
) -> str:
    """A name for the drift of the quantities in `drifted`, "" for none.

    Images: optics alone → "camera or lighting"; no optics → "product"; both kinds → "both", unless nothing of the
    drift of embedding and scores is left once what optics explain linearly (least squares over both windows) is taken
    away: "camera or lighting" again. Where old and new light do not overlap at all, a product that changed at the very
    same time hides behind it, and a product of another shade looks like another light: the name is the likelier
    reading, no proof, and has no part in the false-alarm rate. Tables: a column → "sensor or process", only score or
    alarm rate → "scores only".
    """
    families = {feature.family for feature in drifted}
    if not any(quantity.family in ("optics", "embedding") for quantity in pool.quantities):
        return SENSOR if families & {"feature", "constant", "left-out"} else SCORES_ONLY if families else ""
    if "optics" not in families:
        return PRODUCT if families else ""
    content = {feature.name for feature in drifted if feature.family != "optics"}
    if content and _left_over(pool, content, level=level, min_effect=min_effect, rng=rng):
        return BOTH
    return CAMERA


def _left_over(pool: Pool, content: set[str], *, level: float, min_effect: float, rng: np.random.Generator) -> bool:
    """Whether drift of the numeric quantities of `content` remains without the optics' linear share."""
    optics = [quantity.values for quantity in pool.quantities if quantity.family == "optics"]
    rest = [
        Quantity(name=quantity.name, family=quantity.family, kind="numeric", values=_residual(quantity.values, optics))
        for quantity in pool.quantities
        if quantity.name in content and quantity.kind == "numeric"
    ]
    if not rest:
        return False
    null = null_distribution(
        [quantity.distance for quantity in rest], groups=pool.groups, new_groups=pool.new_groups, level=level, rng=rng
    )
    observed = np.array([quantity.distance(pool.new[None])[0] for quantity in rest])
    return bool(((observed > null.thresholds) & (observed - null.mean >= min_effect)).any())


def _residual(values: Vector, optics: list[NDArray[np.float64]]) -> Vector:
    design = np.stack([np.ones(len(values)), *optics], axis=1)
    usable = np.isfinite(values) & np.isfinite(design).all(axis=1)
    weights, *_ = np.linalg.lstsq(design[usable], values[usable], rcond=None)
    residual = np.full(len(values), np.nan)
    residual[usable] = values[usable] - design[usable] @ weights
    return residual
