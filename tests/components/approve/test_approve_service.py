from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from components.adapters.db import Lease, Records
from components.approve.actors import Actors
from components.approve.keys import make_key
from components.approve.service import Office, approve, reject, rollback, verify_decision
from components.core.contracts import ModelVersion, Role
from components.core.errors import ConfigError, ConflictError, IntegrityError, RefusedError, UnknownVersionError
from components.testing.records import a_gate, a_model

ROLES = {"operator": Role.OVERRIDER, "anna": Role.ENGINEER, "vera": Role.VIEWER, "nokey": Role.ENGINEER}


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    made = Records.create(f"sqlite:///{tmp_path / 'r.db'}", busy_timeout=5)
    yield made
    made.close()


@pytest.fixture
def lease(records: Records) -> Lease:
    return records.leases.acquire("press", holder="test:1:1:", ttl=600)


@pytest.fixture
def office(records: Records, tmp_path: Path) -> Office:
    for actor in ("operator", "anna", "vera", "stranger"):
        make_key(tmp_path / "keys", actor)
    return Office(
        models=records.models, decisions=records.decisions, actors=Actors(roles=ROLES), keys_dir=tmp_path / "keys"
    )


def add(records: Records, lease: Lease, **changes: object) -> ModelVersion:
    retrain = f"r{len(records.models.list('press')) + 1}"
    records.retrains.begin(lease, retrain_id=retrain, key=retrain, dataset=1, actor="operator", config={})
    return records.models.register(lease, a_model(retrain=retrain, **changes))


def yes(office: Office, version: int, *, actor: str = "anna", reason: str = "good", **flags: bool) -> ModelVersion:
    return approve(office, line="press", version=version, actor=actor, reason=reason, **flags)


def test_an_approval_is_signed_and_anybody_can_check_it(records: Records, lease: Lease, office: Office) -> None:
    add(records, lease)
    assert yes(office, 1, reason="  good figures  ").status == "champion"
    (decision,) = records.decisions.history("press")
    assert (decision.actor, decision.reason, decision.override) == ("anna", "good figures", False)
    verify_decision(office.keys_dir, decision=decision)
    for changes in ({"reason": "bad"}, {"version": 2}, {"override": True}, {"actor": "operator"}, {"signature": ""}):
        with pytest.raises(IntegrityError):
            verify_decision(office.keys_dir, decision=decision.model_copy(update=changes))


@pytest.mark.parametrize(
    ("actor", "said"),
    [("vera", "is a viewer and may not decide"), ("stranger", "has no role"), ("nokey", "is not in this workspace")],
)
def test_only_declared_people_with_a_key_decide(
    records: Records, lease: Lease, office: Office, actor: str, said: str
) -> None:
    add(records, lease)
    for act in (
        lambda: yes(office, 1, actor=actor),
        lambda: reject(office, line="press", version=1, actor=actor, reason="bad"),
    ):
        with pytest.raises(RefusedError, match=said):
            act()
    assert records.models.get("press", 1).status == "candidate"
    assert records.decisions.history("press") == ()


def test_a_failed_gate_needs_an_overrider_who_says_so(records: Records, lease: Lease, office: Office) -> None:
    add(records, lease, gate=a_gate("failed"))
    with pytest.raises(RefusedError, match="Failed: latency_ms"):
        yes(office, 1, actor="operator")
    with pytest.raises(RefusedError, match="'anna' is engineer"):
        yes(office, 1, override=True)
    with pytest.raises(RefusedError, match="Failed"):
        yes(office, 1, actor="operator", accept_unmeasured=True)
    assert yes(office, 1, actor="operator", override=True, accept_unmeasured=True).status == "champion"
    (decision,) = records.decisions.history("press")
    assert (decision.override, decision.accept_unmeasured) == (True, False)


def test_unmeasured_conditions_must_be_accepted(records: Records, lease: Lease, office: Office) -> None:
    add(records, lease, gate=a_gate("unmeasured"))
    with pytest.raises(RefusedError, match="Unmeasured: latency_ms"):
        yes(office, 1)
    with pytest.raises(RefusedError, match="Unmeasured"):
        yes(office, 1, actor="operator", override=True)
    yes(office, 1, accept_unmeasured=True)
    (decision,) = records.decisions.history("press")
    assert (decision.override, decision.accept_unmeasured) == (False, True)


def test_a_candidate_compared_with_an_older_champion_counts_as_unmeasured(
    records: Records, lease: Lease, office: Office
) -> None:
    add(records, lease)
    add(records, lease)
    yes(office, 1)
    with pytest.raises(RefusedError, match="compared with no champion, but version 1 is champion now"):
        yes(office, 2)
    assert yes(office, 2, accept_unmeasured=True).status == "champion"


def test_with_four_eyes_the_trainer_may_not_approve(records: Records, lease: Lease, office: Office) -> None:
    add(records, lease, trainer="anna")
    strict = replace(office, actors=Actors(four_eyes=True, roles=ROLES))
    with pytest.raises(RefusedError, match="'anna' trained version 1"):
        yes(strict, 1, actor="anna")
    assert yes(strict, 1, actor="operator").status == "champion"


def test_an_empty_reason_is_refused(records: Records, lease: Lease, office: Office) -> None:
    add(records, lease)
    with pytest.raises(ConfigError, match="reason is empty"):
        yes(office, 1, reason="  ")
    assert records.models.get("press", 1).status == "candidate"


def test_reject_is_for_good(records: Records, lease: Lease, office: Office) -> None:
    add(records, lease)
    assert reject(office, line="press", version=1, actor="anna", reason="blurred data").status == "rejected"
    with pytest.raises(ConflictError, match="is rejected, not candidate"):
        yes(office, 1)
    with pytest.raises(UnknownVersionError):
        yes(office, 2)


def test_rollback_swaps_back_and_forth(records: Records, lease: Lease, office: Office) -> None:
    def back() -> int:
        return rollback(office, line="press", actor="anna", reason="alarms").version

    with pytest.raises(RefusedError, match="no previous champion"):
        back()
    add(records, lease)
    yes(office, 1)
    with pytest.raises(RefusedError, match="no previous champion"):
        back()
    add(records, lease, gate=a_gate(champion=1))
    yes(office, 2)
    assert [back(), back(), back()] == [1, 2, 1]
    history = records.decisions.history("press")
    assert [decision.action for decision in history] == ["approve", "approve", *["rollback"] * 3]
    for decision in history:
        verify_decision(office.keys_dir, decision=decision)
    assert records.ledger.verify() > 0
