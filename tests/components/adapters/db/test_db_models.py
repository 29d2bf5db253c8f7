import pytest

from components.adapters.db import Records
from components.core.contracts import Metric
from components.core.errors import ConflictError, UnknownVersionError
from components.testing.records import a_decision, a_model, an_evaluation


def test_versions_count_up_in_each_line_and_come_back_equal(records: Records, press) -> None:
    made = a_model(
        retrain="r1",
        params={"name": "Prüfstand 3 μm 🏭", "rate": 0.1 + 0.2, "none": None},
        evaluation=an_evaluation(recall=Metric(value=None, note="no anomalies")),
    )
    press.begin("r1")
    kept = records.models.register(press.lease, made)
    assert kept == made.model_copy(update={"version": 1})
    assert records.models.get("press", 1) == kept
    assert press.candidate("r2").version == 2
    assert [one.version for one in records.models.list("press")] == [2, 1]
    assert [one.version for one in records.models.list(status="candidate")] == [2, 1]
    assert records.models.list("mill") == ()


def test_a_large_record_is_kept_whole(records: Records, press) -> None:
    files = {f"part-{number:05}.safetensors": "f" * 64 for number in range(2000)}
    assert records.models.get("press", press.candidate("r1", files=files).version).files == files


def test_to_register_twice_gives_the_same_version(records: Records, press) -> None:
    press.begin("r1")
    first = records.models.register(press.lease, a_model(retrain="r1"))
    again = records.models.register(press.lease, a_model(retrain="r1", seed=99))
    assert again == first
    assert len(records.models.list("press")) == 1


def test_only_candidates_of_a_begun_retrain_and_the_own_line_are_registered(records: Records, press) -> None:
    with pytest.raises(ConflictError, match="refers to one that is not"):
        records.models.register(press.lease, a_model(retrain="never begun"))
    with pytest.raises(ConflictError, match="champion of line 'press' cannot"):
        records.models.register(press.lease, a_model(status="champion"))
    with pytest.raises(ConflictError, match="line 'mill' cannot"):
        records.models.register(press.lease, a_model("mill"))
    assert records.models.list() == ()
    assert records.ledger.events() == ()


def test_unknown_versions_are_named(records: Records) -> None:
    with pytest.raises(UnknownVersionError, match="no model version 4"):
        records.models.get("press", 4)
    assert records.models.champion("press") is None
    assert records.models.previous("press") is None


def test_the_life_of_versions(records: Records, press) -> None:
    for number in (1, 2, 3, 4):
        assert press.candidate(f"r{number}").version == number
    decide = records.decisions.decide
    assert decide(a_decision(1), expected_champion=None).status == "champion"
    assert decide(a_decision(2), expected_champion=1).status == "champion"
    assert decide(a_decision(3, action="reject"), expected_champion=2).status == "rejected"
    assert decide(a_decision(1, action="rollback"), expected_champion=2).status == "champion"
    assert _statuses(records) == {1: "champion", 2: "previous", 3: "rejected", 4: "candidate"}
    assert decide(a_decision(4), expected_champion=1).status == "champion"
    assert _statuses(records) == {1: "previous", 2: "archived", 3: "rejected", 4: "champion"}
    champion, previous = records.models.champion("press"), records.models.previous("press")
    assert champion is not None
    assert previous is not None
    assert (champion.version, previous.version) == (4, 1)


def _statuses(records: Records) -> dict[int, str]:
    return {one.version: one.status for one in records.models.list("press")}


def test_a_decision_on_what_has_changed_is_refused_and_writes_nothing(records: Records, press) -> None:
    for number in (1, 2, 3):
        press.candidate(f"r{number}")
    decide = records.decisions.decide
    decide(a_decision(1), expected_champion=None)
    events = len(records.ledger.events())
    with pytest.raises(ConflictError, match="champion of 'press' is version 1, not none"):
        decide(a_decision(2), expected_champion=None)
    with pytest.raises(ConflictError, match="version 1 of 'press' is champion, not candidate"):
        decide(a_decision(1), expected_champion=1)
    with pytest.raises(ConflictError, match="is candidate, not previous"):
        decide(a_decision(2, action="rollback"), expected_champion=1)
    with pytest.raises(UnknownVersionError, match="no model version 9"):
        decide(a_decision(9), expected_champion=1)
    assert len(records.ledger.events()) == events
    assert len(records.decisions.history("press")) == 1
    assert _statuses(records) == {1: "champion", 2: "candidate", 3: "candidate"}


def test_decisions_are_remembered_and_leave_work_in_the_outbox(records: Records, press) -> None:
    press.candidate("r1")
    press.candidate("r2")
    first = a_decision(1, reason="besser, 中文", signature="id:sig")
    second = a_decision(2, action="reject", actor="anna", override=True)
    records.decisions.decide(first, expected_champion=None)
    records.decisions.decide(second, expected_champion=1)
    assert records.decisions.history("press") == (first, second)
    assert records.decisions.history("press", 2) == (second,)
    assert records.decisions.history("mill") == ()
    items = records.decisions.outbox()
    assert [(one.line, one.action, one.version, one.champion, one.previous) for one in items] == [
        ("press", "approve", 1, 1, None),
        ("press", "reject", 2, 1, None),
    ]
    records.decisions.settle(items[0].outbox_id)
    records.decisions.settle(items[0].outbox_id)
    assert records.decisions.outbox() == items[1:]
    event = records.ledger.events("press")[-1]
    assert (event.kind, event.actor) == ("model rejected", "anna")
    assert event.data["decision"] == second.model_dump(mode="json")
    assert event.data["after"] == {"champion": 1, "previous": None}
