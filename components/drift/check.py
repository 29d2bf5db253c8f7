"""One drift check: distances, their permutation null, and the verdict."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from components.core.drift_report import DriftFeature, DriftReport
from components.core.lines import DriftOptions
from components.core.seeds import generator
from components.drift import evidently_report, words
from components.drift.apart import alarms, among_old
from components.drift.attribution import kind_of
from components.drift.blocks import Blocks, Measured, measure
from components.drift.distances import EVIDENTLY_FLOOR, Vector
from components.drift.permutation import Null, enough_groups, null_distribution, permutations_for
from components.drift.pooling import Pool, Quantity, pool
from components.drift.window import DriftWindow

_TIE = 1e-9
"""Evidently's value and ours of the same division differ by rounding: a tie is no excess."""


def check(
    reference: DriftWindow,
    current: DriftWindow,
    *,
    line: str,
    options: DriftOptions,
    number: int,
    decided: int,
    seed: int,
) -> DriftReport:
    """Compare `current` with `reference`.

    A quantity drifted when its distance exceeds its threshold and its effect reaches `options.min_effect`. Thresholds
    come from exchanging whole groups between the windows at random, at the sizes at hand, so small samples do not look
    like drift. If nothing changed and groups are independent of each other, the chance that any of the first
    `options.horizon` verdicts says "drift" is at most `options.false_alarm_rate`: each check gets an equal part of it
    (Bonferroni, which needs no independence of the checks), and max-T holds that part over all quantities together. The
    smallest effect only lowers the chance. The rate does not hold beyond the horizon, nor where groups depend on each
    other, and it says nothing of drifts missed. A declared constant that changed is drift by itself,
    though no retrain learns it: it is no feature.

    Of groups that are too few for that rate the report compares each quantity with how far the old groups lie from each
    other, without a verdict.

    Args:
        reference: The champion's data.
        current: What came since.
        line: Name of the line.
        options: Rate, horizon, smallest effect and fewest samples.
        number: Of this check since the champion came, from 1.
        decided: Checks before it that came to a verdict: those that had too few data used up nothing of the horizon.
        seed: Of the permutations.

    Raises:
        ConfigError: The rate left to one check is too small for any affordable number of permutations.
        ValueError: The windows have different columns or thresholds.
    """
    level = options.false_alarm_rate / options.horizon
    rows = both = pool(reference, current)
    blocks = Blocks.of(reference, current) if rows.thinned and min(len(reference), len(current)) else None
    if blocks is not None:
        both = replace(rows, old_groups=blocks.old, new_groups=blocks.new)
    report = partial(
        DriftReport,
        line=line,
        reference=reference.name,
        current=current.name,
        method=words.METHOD,
        reference_samples=len(reference),
        current_samples=len(current),
        false_alarm_rate=options.false_alarm_rate,
        horizon=options.horizon,
        check=number,
    )
    if lacking := _few_samples(len(reference), len(current), least=options.min_samples):
        return report(verdict="not enough data", kind="", features=(), detail=f"{lacking}.")
    if not enough_groups(both.old_groups, both.new_groups, level=level):
        features = _untested(rows, min_effect=options.min_effect) if rows.old_groups > 1 else []
        unlike = words.unlike(features, rows, min_effect=options.min_effect)
        detail = "; ".join([words.few_groups(both, level=level), alarms(reference, current), *unlike]) + "."
        return report(verdict="not enough data", kind="", features=tuple(features), detail=detail)
    rng = generator(seed, "drift", line, number)
    features, both = _compared(reference, current, both, blocks, level=level, min_effect=options.min_effect, rng=rng)
    drifted = [feature for feature in features if feature.drifted]
    # The name is found among the rows of the pool, whose groups are not the blocks.
    kind = kind_of(rows, drifted, level=level, min_effect=options.min_effect, rng=rng)
    found = words.outcome(features, both, permutations=permutations_for(level), level=level)
    notes = words.notes(reference, current, both, options=options, check=decided + 1)
    detail = "; ".join([found + words.caveat(kind, drifted), *notes]) + "."
    return report(verdict="drift" if drifted else "no drift", kind=kind, features=tuple(features), detail=detail)


def _compared(
    reference: DriftWindow,
    current: DriftWindow,
    both: Pool,
    blocks: Blocks | None,
    *,
    level: float,
    min_effect: float,
    rng: np.random.Generator,
) -> tuple[list[DriftFeature], Pool]:
    """Every quantity judged, the worst first, and the pool with what turned out not to be measurable."""
    if blocks is None:
        judged = _judge(both, level=level, min_effect=min_effect, rng=rng)
    else:
        ignored = {**reference.ignored, **current.ignored}  # `measure` adds to it
        found = measure(reference, current, blocks=blocks, level=level, rng=rng, ignored=ignored)
        judged = _judge_blocks(found, blocks, min_effect=min_effect)
        both = replace(both, ignored=ignored)
    return _worst_first([*_changed_constants(reference.constants, current.constants), *judged]), both


def _worst_first(features: list[DriftFeature]) -> list[DriftFeature]:
    """Those that drifted, then the others, each by how far the distance lies above the threshold."""
    return sorted(features, key=lambda one: (not one.drifted, -one.distance / max(one.threshold, _TIE)))


def _few_samples(old: int, new: int, *, least: int) -> str:
    """Why there are too few samples for any verdict, or ""."""
    if new < least:
        return f"{new} new samples, {least} needed"
    return f"{old} reference samples, {least} needed" if old < least else ""


def _untested(rows: Pool, *, min_effect: float) -> list[DriftFeature]:
    """Every quantity beside how far old groups lie from each other: those that moved enough, the farthest first."""
    observed = _observed(rows)
    features = []
    for quantity in rows.quantities:
        distance, within = observed[quantity.name], among_old(quantity, both=rows)
        effect = _effect(quantity, rows.new, distance - float(within.mean()))
        found = _feature(quantity, distance, threshold=float(within.max()), effect=effect, min_effect=np.inf)
        features.append(found)
    return sorted(_worst_first(features), key=lambda one: abs(one.effect) < min_effect)


def _changed_constants(old: Mapping[str, str], new: Mapping[str, str]) -> list[DriftFeature]:
    """Declared constants of both windows; distance 1 and drift where the value changed."""
    return [
        DriftFeature(
            name=f"{name}: {old[name]} → {new[name]}" if old[name] != new[name] else name,
            family="left-out",
            distance=float(old[name] != new[name]),
            threshold=0.0,
            effect=float(old[name] != new[name]),
            drifted=old[name] != new[name],
        )
        for name in sorted(old.keys() & new.keys())
    ]


def _judge(both: Pool, *, level: float, min_effect: float, rng: np.random.Generator) -> list[DriftFeature]:
    null = null_distribution(
        [quantity.distance for quantity in both.quantities],
        groups=both.groups,
        new_groups=both.new_groups,
        level=level,
        rng=rng,
    )
    observed = _observed(both)
    features = []
    for index, quantity in enumerate(both.quantities):
        distance = observed[quantity.name]
        effect = _effect(quantity, both.new, distance - float(null.mean[index]))
        threshold = float(null.thresholds[index])
        features.append(_feature(quantity, distance, threshold=threshold, effect=effect, min_effect=min_effect))
    return features


def _judge_blocks(found: Iterator[Measured | Null], blocks: Blocks, *, min_effect: float) -> list[DriftFeature]:
    new = np.repeat([False, True], [len(blocks.old_rows), len(blocks.new_rows)])
    measured: list[tuple[Measured, float]] = []
    null: Null | None = None
    for item in found:
        if isinstance(item, Null):
            null = item
        else:
            # Its values go: a million of every column at once would not fit.
            bare = replace(item, quantity=replace(item.quantity, values=np.zeros(0)))
            measured.append((bare, _effect(item.quantity, new, 0.0)))
    assert null is not None
    features = []
    for (item, shift), mean, threshold in zip(measured, null.mean, null.thresholds, strict=True):
        excess = item.distance - float(mean)
        effect = excess if item.quantity.kind == "numeric" and abs(shift) < excess else shift
        bound = float(threshold) + item.rounding
        features.append(_feature(item.quantity, item.distance, threshold=bound, effect=effect, min_effect=min_effect))
    return features


def _feature(
    quantity: Quantity, distance: float, *, threshold: float, effect: float, min_effect: float
) -> DriftFeature:
    return DriftFeature(
        name=quantity.name,
        family=quantity.family,
        distance=distance,
        threshold=threshold,
        effect=effect,
        drifted=distance > threshold + _TIE and abs(effect) >= min_effect,
    )


def _observed(both: Pool) -> dict[str, float]:
    """Evidently's distances; alarm rates, which are no column of its, by ours."""
    rates = {q.name: float(q.distance(both.new[None])[0]) for q in both.quantities if q.kind == "rate"}
    kinds: dict[str, evidently_report.Kind] = {q.name: q.kind for q in both.quantities if q.kind != "rate"}
    measured = evidently_report.distances(both.frame(new=False), both.frame(new=True), columns=list(kinds), kinds=kinds)
    return rates | measured


def _effect(quantity: Quantity, side: NDArray[np.bool_], excess: float) -> float:
    """How much it moved, in deviations of the reference; signed where it moved to one side.

    Numbers: the shift of the mean, or what the distance has above chance where that is more (a change of spread or
    shape, unsigned). Categories: the largest shift of a category's share in that share's own deviation. Alarms: of
    their rate.
    """
    old, new = quantity.values[~side], quantity.values[side]
    if quantity.kind == "numeric":
        shift = float(np.nanmean(new) - np.nanmean(old)) / max(float(np.nanstd(old)), EVIDENTLY_FLOOR)
        return shift if abs(shift) >= excess else excess
    if quantity.kind == "rate":
        return _share_shift(old, new)
    shifts = [_share_shift(_is(old, code), _is(new, code)) for code in range(len(quantity.labels))]
    return max(map(abs, shifts))


def _is(codes: Vector, code: int) -> Vector:
    indicator: Vector = (codes[np.isfinite(codes)] == code).astype(np.float64)
    return indicator


def _share_shift(old: Vector, new: Vector) -> float:
    """Change of a share over its deviation in `old`; Laplace's rule keeps shares of 0 and 1 off a deviation of 0."""
    share = (old.sum() + 1) / (len(old) + 2)
    return float((new.mean() - old.mean()) / np.sqrt(share * (1 - share)))
