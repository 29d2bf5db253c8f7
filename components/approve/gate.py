"""Judges a candidate by declared rules. Pure: figures in, a report out."""

from components.approve.rules import GateRules
from components.core.contracts import Calibration, Condition, Evaluation, GateReport, Metric, ModelVersion

NON_INFERIOR = "non_inferior_auroc"


def evaluate_gate(
    candidate: Evaluation,
    *,
    calibration: Calibration,
    champion: Evaluation | None,
    champion_version: int | None,
    difference: Metric | None,
    rules: GateRules,
    leaks: int,
) -> GateReport:
    """Every declared condition with its figures.

    Args:
        candidate: The candidate on the sealed test split.
        calibration: Its threshold and the false-alarm budget it was made for.
        champion: The champion on the same samples; None before the first approval.
        champion_version: The champion's number; None exactly when `champion` is None.
        difference: Paired interval of AUROC, candidate minus champion: above 0 the candidate is better. None where
            it could not be computed.
        rules: From `load_rules`.
        leaks: Samples and groups found in two splits.

    Raises:
        ValueError: Only one of `champion` and `champion_version` is given.
    """
    if (champion is None) != (champion_version is None):
        raise ValueError(f"champion version {champion_version} and its evaluation must come together")
    conditions = [_non_inferior(candidate, champion=champion, difference=difference, rules=rules)]
    if rules.min_auroc is not None:
        conditions.append(_min_auroc(candidate, limit=rules.min_auroc))
    conditions += [_false_alarms(candidate, calibration=calibration, rules=rules), _latency(candidate, rules=rules)]
    if rules.no_leak:
        conditions.append(_no_leak(leaks))
    return GateReport(conditions=tuple(conditions), champion=champion_version)


def gate_today(version: ModelVersion, *, champion: int | None) -> GateReport:
    """The gate of a candidate as it stands against today's champion.

    A comparison with one that is champion no more says nothing of the one that is: it counts as unmeasured.
    """
    if version.gate.champion == champion:
        return version.gate
    then = "no champion" if version.gate.champion is None else f"version {version.gate.champion}"
    detail = f"compared with {then}, but version {champion} is champion now; retrain to compare with it"
    stale = {"status": "unmeasured", "detail": detail}
    conditions = tuple(
        condition.model_copy(update=stale) if condition.name == NON_INFERIOR else condition
        for condition in version.gate.conditions
    )
    return version.gate.model_copy(update={"conditions": conditions})


def _non_inferior(
    candidate: Evaluation, *, champion: Evaluation | None, difference: Metric | None, rules: GateRules
) -> Condition:
    limit = -rules.auroc_margin
    if champion is None:
        auroc = _metric(candidate, "image_auroc")
        return Condition(name=NON_INFERIOR, status="met", value=auroc.value, detail="no champion yet")
    if difference is None or difference.value is None or difference.low is None or difference.high is None:
        why = (difference.note if difference else "") or _metric(candidate, "image_auroc").note
        detail = f"no difference to the champion could be measured{f': {why}' if why else ''}"
        return Condition(name=NON_INFERIOR, status="unmeasured", limit=limit, detail=detail)
    return _judged(difference, name=NON_INFERIOR, limit=limit, widest=rules.max_interval_width)


def _judged(difference: Metric, *, name: str, limit: float, widest: float) -> Condition:
    assert difference.low is not None
    assert difference.high is not None
    figures = {"value": difference.value, "low": difference.low, "high": difference.high, "limit": limit}
    width = difference.high - difference.low
    if difference.high < limit:
        return Condition(name=name, status="failed", detail="the champion is better beyond the margin", **figures)
    if difference.low >= limit:
        return Condition(name=name, status="met", detail="not worse than the champion by the margin", **figures)
    if width > widest:
        detail = f"the interval is {width:.3f} wide, more than {widest:g}: too few test samples to tell"
        return Condition(name=name, status="unmeasured", detail=detail, **figures)
    if difference.high >= 0:
        detail = "may be worse than the champion by the margin, and may be better: too few test samples to tell"
        return Condition(name=name, status="unmeasured", detail=detail, **figures)
    return Condition(name=name, status="failed", detail="worse than the champion, perhaps by the margin", **figures)


def _min_auroc(candidate: Evaluation, *, limit: float) -> Condition:
    auroc = _metric(candidate, "image_auroc")
    figures = {"value": auroc.value, "low": auroc.low, "high": auroc.high, "limit": limit}
    if auroc.value is None:
        return Condition(name="min_auroc", status="unmeasured", detail=auroc.note, **figures)
    detail = f"{auroc.value:.3f}, at least {limit:g}"
    return Condition(name="min_auroc", status="met" if auroc.value >= limit else "failed", detail=detail, **figures)


def _false_alarms(candidate: Evaluation, *, calibration: Calibration, rules: GateRules) -> Condition:
    rate = _metric(candidate, "false_alarm_rate")
    limit = calibration.false_alarm_rate + rules.false_alarm_excess
    figures = {"value": rate.value, "low": rate.low, "high": rate.high, "limit": limit}
    if rate.value is None or rate.low is None or rate.high is None:
        return Condition(name="false_alarm_budget", status="unmeasured", detail=rate.note, **figures)
    width = rate.high - rate.low
    if rate.low > limit:
        detail = "the whole interval is above the budget"
        return Condition(name="false_alarm_budget", status="failed", detail=detail, **figures)
    if width > rules.false_alarm_interval_width:
        detail = f"the interval is {width:.3f} wide, more than {rules.false_alarm_interval_width:g}"
        return Condition(name="false_alarm_budget", status="unmeasured", detail=detail, **figures)
    return Condition(name="false_alarm_budget", status="met", **figures)


def _latency(candidate: Evaluation, *, rules: GateRules) -> Condition:
    latency = _metric(candidate, "latency_ms")
    figures = {"value": latency.value, "low": latency.low, "high": latency.high, "limit": rules.latency_ms}
    if latency.value is None:
        return Condition(name="latency_ms", status="unmeasured", detail=latency.note, **figures)
    status = "met" if latency.value <= rules.latency_ms else "failed"
    detail = f"{latency.value:.4g} ms, at most {rules.latency_ms:g}"
    return Condition(name="latency_ms", status=status, detail=detail, **figures)


def _no_leak(leaks: int) -> Condition:
    detail = f"{leaks} samples or groups lie in two splits" if leaks else ""
    status = "failed" if leaks else "met"
    return Condition(name="no_leak", status=status, value=float(leaks), limit=0.0, detail=detail)


def _metric(evaluation: Evaluation, name: str) -> Metric:
    return evaluation.metrics.get(name) or Metric(value=None, note=f"{name} was not measured")
