from pathlib import Path

import pytest

from components.approve.gate import evaluate_gate, gate_today
from components.approve.rules import GateRules, load_rules
from components.core.contracts import Evaluation, GateReport, Metric
from components.core.errors import ConfigError
from components.testing.records import a_calibration, a_model, an_evaluation

GATES = Path(__file__).parents[3] / "configs" / "gates.yaml"


def gate(
    candidate: Evaluation | None = None,
    *,
    difference: Metric | None = None,
    champion: int | None = 1,
    leaks: int = 0,
    **rules: float | bool,
) -> GateReport:
    return evaluate_gate(
        candidate or an_evaluation(),
        calibration=a_calibration(false_alarm_rate=0.05),
        champion=None if champion is None else an_evaluation(),
        champion_version=champion,
        difference=difference,
        rules=GateRules.model_validate(rules),
        leaks=leaks,
    )


def status(report: GateReport, name: str) -> str:
    return {condition.name: condition.status for condition in report.conditions}[name]


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (-0.02, 0.03, "met"),
        (-0.05, 0.05, "met"),
        (0.01, 0.02, "met"),
        (-0.06, -0.01, "failed"),
        (-0.06, 0.02, "unmeasured"),
        (-0.30, -0.06, "failed"),
        (-0.06, 0.05, "unmeasured"),
        (-0.04, 0.20, "met"),
        (-0.30, -0.01, "unmeasured"),
    ],
)
def test_auroc_may_be_lower_by_the_margin(low: float, high: float, wanted: str) -> None:
    report = gate(difference=Metric(value=(low + high) / 2, low=low, high=high, n=50))
    condition = report.conditions[0]
    assert (condition.name, condition.status) == ("non_inferior_auroc", wanted)
    assert (condition.low, condition.high, condition.limit) == (low, high, -0.05)
    assert report.champion == 1


def test_the_first_candidate_has_no_champion_to_beat() -> None:
    report = gate(an_evaluation(image_auroc=Metric(value=None)), champion=None)
    assert report.conditions[0].detail == "no champion yet"
    assert report.status == "met"
    assert report.champion is None


def test_without_labelled_anomalies_the_difference_is_unmeasured() -> None:
    note = "the test split has no labelled anomalies"
    report = gate(difference=Metric(value=None, note=note))
    assert report.conditions[0].status == "unmeasured"
    assert note in report.conditions[0].detail
    assert gate(difference=None).conditions[0].status == "unmeasured"


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [
        (0.0, 0.1, "met"),
        (0.06, 0.2, "met"),
        (0.08, 0.2, "failed"),
        (0.08, 0.9, "failed"),
        (0.0, 0.31, "unmeasured"),
        (0.0, 0.3, "met"),
    ],
)
def test_false_alarms_are_held_against_the_budget(low: float, high: float, wanted: str) -> None:
    rate = Metric(value=(low + high) / 2, low=low, high=high)
    assert status(gate(an_evaluation(false_alarm_rate=rate)), "false_alarm_budget") == wanted


def test_what_was_not_measured_is_unmeasured() -> None:
    empty = Evaluation(split="test", dataset="press/v1", metrics={}, looks=1)
    found = {condition.name: condition for condition in gate(empty, champion=None, min_auroc=0.9).conditions}
    for name in ("false_alarm_budget", "latency_ms", "min_auroc"):
        assert found[name].status == "unmeasured"
        assert "was not measured" in found[name].detail


def test_latency_leaks_and_a_lowest_auroc() -> None:
    report = gate(leaks=2, latency_ms=10.0, min_auroc=0.96)
    assert [status(report, name) for name in ("latency_ms", "no_leak", "min_auroc")] == ["failed"] * 3
    said = {condition.name: condition.detail for condition in report.conditions}
    assert said["latency_ms"] == "20 ms, at most 10"
    assert said["min_auroc"] == "0.950, at least 0.96"
    report = gate(leaks=0, latency_ms=20.0, min_auroc=0.95)
    assert [status(report, name) for name in ("latency_ms", "no_leak", "min_auroc")] == ["met"] * 3
    names = [condition.name for condition in gate(leaks=2, no_leak=False).conditions]
    assert names == ["non_inferior_auroc", "false_alarm_budget", "latency_ms"]


def test_champion_and_version_come_together() -> None:
    with pytest.raises(ValueError, match="must come together"):
        evaluate_gate(
            an_evaluation(),
            calibration=a_calibration(),
            champion=an_evaluation(),
            champion_version=None,
            difference=None,
            rules=GateRules(),
            leaks=0,
        )


def test_a_comparison_with_an_older_champion_is_unmeasured_today() -> None:
    compared = gate(difference=Metric(value=0.0, low=0.0, high=0.0), champion=1)
    model = a_model(gate=compared, version=3)
    assert gate_today(model, champion=1) == compared
    today = gate_today(model, champion=2)
    assert today.status == "unmeasured"
    assert today.conditions[0].detail.startswith("compared with version 1, but version 2 is champion now")
    first = a_model(gate=gate(champion=None), version=1)
    assert gate_today(first, champion=None).status == "met"
    assert gate_today(first, champion=2).conditions[0].detail.startswith("compared with no champion")


def test_the_template_says_the_defaults() -> None:
    assert load_rules(GATES, {}) == GateRules()


def test_a_line_replaces_single_entries(tmp_path: Path) -> None:
    rules = load_rules(GATES, {"auroc_margin": 0.01, "no_leak": False})
    assert (rules.auroc_margin, rules.no_leak, rules.latency_ms) == (0.01, False, 1000.0)


@pytest.mark.parametrize(
    ("text", "overrides", "said"),
    [
        ("auroc_margin: -1", {}, "auroc_margin"),
        ("auroc_margn: 0.1", {}, "auroc_margn"),
        ("[1]", {}, "valid dictionary"),
        ("a: [", {}, "is not YAML"),
        ("{}", {"latency": 3.0}, "the line's gates: latency"),
    ],
)
def test_wrong_rules_are_told(tmp_path: Path, text: str, overrides: dict[str, float | bool], said: str) -> None:
    path = tmp_path / "gates.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        load_rules(path, overrides)


def test_a_missing_file_of_rules_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is missing"):
        load_rules(tmp_path / "gates.yaml", {})
