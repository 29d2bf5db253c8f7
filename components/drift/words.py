"""The sentences of a drift verdict."""

import itertools
from collections.abc import Sequence

from components.core.drift_report import DriftFeature
from components.core.lines import DriftOptions
from components.core.wording import listed
from components.drift.attribution import CAMERA
from components.drift.permutation import enough_groups
from components.drift.pooling import Pool
from components.drift.window import DriftWindow

METHOD = (
    "normed Wasserstein distance of values cut at 10 robust deviations where they are rare (categories: Jensen-Shannon "
    "distance, alarms: difference of rates); thresholds from permutations of groups, for the maximum over all "
    "quantities"
)
_FAR = 5.0
"""Deviations from which on what is no drift is worth a look: of all new groups few hold it, perhaps one."""


def outcome(features: Sequence[DriftFeature], both: Pool, *, permutations: int, level: float) -> str:
    """What was found, and against which null."""
    drifted = [feature for feature in features if feature.drifted]
    found = listed([_shown(feature) for feature in drifted])
    null = (
        f"{permutations} permutations of {both.old_groups} old and {both.new_groups} new groups, chance of a false "
        f"alarm in this check {level:.2g}"
    )
    off = [feature for feature in features if not feature.drifted and abs(feature.effect) >= _FAR]
    look = listed([_shown(feature) for feature in off])
    few = f"; not called drift, since few groups hold it, but far off: {look}" if off else ""
    if drifted:
        return f"{len(drifted)} of {len(features)} quantities drifted: {found}{few}; {null}"
    return f"none of {len(features)} quantities drifted{few}; {null}"


def few_groups(both: Pool, *, level: float) -> str:
    """Why so few groups allow no verdict, and how many would."""
    old, new = both.old_groups, both.new_groups
    enough = next(count for count in itertools.count(new + 1) if enough_groups(old, count, level=level))
    return (
        f"{old} old and {new} new independent groups can be exchanged in too few ways to hold a false-alarm rate of "
        f"{level:.2g} in this check; {enough} new groups or a larger rate would do"
    )


def unlike(features: Sequence[DriftFeature], both: Pool, *, min_effect: float) -> list[str]:
    """Of quantities that nothing tested, those that differ more than old groups among themselves."""
    beyond = [
        feature for feature in features if feature.distance > feature.threshold and abs(feature.effect) >= min_effect
    ]
    if not beyond:
        return ["no quantity differs from the reference by more than its groups from each other"] if features else []
    found = listed([_shown(feature) for feature in beyond])
    return [
        f"{len(beyond)} of {len(features)} quantities differ from the reference by more than each of its groups from "
        f"the others: {found}; a new group like the {both.old_groups} old ones would be beyond them all in one "
        f"quantity with a chance of {1 / (both.old_groups + 1):.2g}"
    ]


def caveat(kind: str, drifted: Sequence[DriftFeature]) -> str:
    """What the name of the drift leaves open, or ""."""
    if kind == CAMERA and any(feature.family != "optics" for feature in drifted):
        return "; optics explain the rest of it, and would hide a product that changed at the same time"
    if any(feature.family == "left-out" for feature in drifted):
        return (
            "; a column that was constant in the line's first version is no feature: another line learns it, no retrain"
        )
    return ""


def _shown(feature: DriftFeature) -> str:
    if feature.family in ("constant", "left-out"):
        return feature.name
    return f"{feature.name} by {feature.effect:+.2g} deviations"


def notes(reference: DriftWindow, current: DriftWindow, both: Pool, *, options: DriftOptions, check: int) -> list[str]:
    """What a reader must know beside the verdict: spent horizon, sampling, constants, columns left out."""
    found = []
    if check > options.horizon:
        found.append(
            f"this is check {check} with a verdict, and the declared rate of {options.false_alarm_rate:g} held over "
            f"the first {options.horizon} only"
        )
    if both.thinned:
        found.append("neighbouring groups are exchanged together, as blocks")
    if gone := sorted(reference.constants.keys() ^ current.constants.keys()):
        found.append(f"constants known for one window only: {listed(gone)}")
    # Of a reason its kind: the rest was said when the columns were left out.
    kinds = {name: why.partition(":")[0] for name, why in both.ignored.items()}
    for kind in sorted(set(kinds.values())):
        names = [name for name, said in kinds.items() if said == kind]
        found += [f"not measured ({kind}): {listed(names)}"]
    return found
