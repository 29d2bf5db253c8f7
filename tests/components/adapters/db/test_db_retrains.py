import pytest

from components.adapters.db import Records
from components.core.errors import ConflictError, UnknownVersionError

BEGUN = {"dataset": 1, "actor": "operator", "config": {"budget": 8}}


def test_a_killed_retrain_goes_on_from_its_checkpoints(records: Records, press) -> None:
    press.begin("r1", key="same", request="q1")
    records.retrains.checkpoint(press.lease, "r1", "search", {"best": {"k": 3}})
    records.retrains.checkpoint(press.lease, "r1", "search", {"best": {"k": 5}})
    records.leases.release(press.lease)

    found = records.retrains.open("press")
    assert found is not None
    assert (found.retrain_id, found.state, found.key, found.request) == ("r1", "unfinished", "same", "q1")
    press.lease = records.leases.acquire("press", holder="other:1:1:", ttl=60)
    press.begin("r1", key="same")
    found = records.retrains.open("press")
    assert found is not None
    assert found.state == "running"
    assert found.stages == {"search": {"best": {"k": 5}}}
    assert found.config == {"budget": 8}
    records.retrains.finish(press.lease, "r1", "done", {"seconds": 2.5})
    assert records.retrains.open("press") is None
    ended = records.retrains.get("r1")
    assert (ended.state, ended.detail) == ("done", {"seconds": 2.5})
    assert ended.finished is not None
    assert ended.finished >= ended.started
    kinds = [event.kind for event in records.ledger.events("press")]
    assert kinds == ["retrain begun", "retrain resumed", "retrain done"]


def test_the_next_retrain_marks_the_dead_one_crashed(records: Records, press) -> None:
    press.begin("r1", key="old")
    press.begin("r2", key="new")
    assert [(one.retrain_id, one.state) for one in records.retrains.list("press")] == [
        ("r2", "running"),
        ("r1", "crashed"),
    ]
    assert records.retrains.get("r1").finished is not None


def test_a_retrain_is_resumed_under_its_own_key_only(records: Records, press) -> None:
    press.begin("r1", key="old")
    with pytest.raises(ConflictError, match="cannot be begun again"):
        press.begin("r1", key="new")
    records.retrains.finish(press.lease, "r1", "failed", {"error": "no disk"})
    with pytest.raises(ConflictError, match="is failed"):
        press.begin("r1", key="old")


def test_a_stale_lease_writes_nothing(records: Records, press) -> None:
    press.begin("r1")
    stale = press.lease
    records.leases.release(stale)
    fresh = records.leases.acquire("press", holder="other:1:1:", ttl=60)
    for write in (
        lambda: records.retrains.checkpoint(stale, "r1", "search", {}),
        lambda: records.retrains.finish(stale, "r1", "done", {}),
        lambda: records.retrains.begin(stale, retrain_id="r2", key="k", **BEGUN),
    ):
        with pytest.raises(ConflictError, match="was lost"):
            write()
    # The new holder owns the line, but not the retrain until it has begun it.
    with pytest.raises(ConflictError, match="not running under this lease"):
        records.retrains.checkpoint(fresh, "r1", "search", {})
    found = records.retrains.open("press")
    assert found is not None
    assert found.stages == {}


def test_to_finish_twice_does_no_harm(records: Records, press) -> None:
    press.begin("r1")
    records.retrains.finish(press.lease, "r1", "done", {"n": 1})
    records.retrains.finish(press.lease, "r1", "done", {"n": 2})
    assert records.retrains.get("r1").detail == {"n": 1}
    with pytest.raises(ConflictError, match="it is done"):
        records.retrains.finish(press.lease, "r1", "failed", {})
    with pytest.raises(ConflictError, match="unknown"):
        records.retrains.finish(press.lease, "r9", "done", {})


def test_the_same_key_finds_the_finished_model(records: Records, press) -> None:
    assert records.retrains.find_done("press", "key of r1") is None
    version = press.candidate("r1")
    assert records.retrains.find_done("press", "key of r1") == version
    assert records.retrains.find_done("mill", "key of r1") is None


def test_an_unknown_retrain_is_named(records: Records) -> None:
    with pytest.raises(UnknownVersionError, match="'r9'"):
        records.retrains.get("r9")
    assert records.retrains.list() == ()
