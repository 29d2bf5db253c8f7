"""Decisions and the roles behind them, wherever something is killed, changed or away."""

import sqlite3
from contextlib import closing
from unittest.mock import Mock

import pytest

from components.approve.service import approve
from components.core.errors import RefusedError, UnavailableError
from components.testing.records import a_model
from flows.jobs.doctor import diagnose
from flows.jobs.promote import add_actor, approve_version, copy_aliases, office
from flows.jobs.retrain import retraining
from flows.wiring import Linewright


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE lw_decisions SET record = replace(record, 'recall', 'speed')", "signature of 'operator' does not fit"),
        ("DELETE FROM lw_decisions", "decisions on line 'press' are not those of the ledger"),
        ("DELETE FROM lw_champions", "champion of line 'press' is not the one that was decided"),
    ],
)
def test_doctor_finds_decisions_that_were_changed(planned, change, said):
    app = planned("press", "r1").app
    with retraining(planned("press", "r1")) as job:
        app.records.models.register(job.lease, a_model(retrain="r1", dataset=1))
    approve(office(app), line="press", version=1, actor="operator", reason="recall is what we need")

    def found():
        return next(item for item in diagnose(app.home) if item.name == "decisions")

    assert (found().ok, found().detail) == (True, "1, each as its actor signed it and as the ledger tells")
    with closing(sqlite3.connect(app.home / "linewright.db")) as connection, connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(change)
    assert not found().ok
    assert said in found().detail


def test_doctor_finds_a_version_that_mlflow_lost(planned):
    app = planned("press", "r1").app
    with retraining(planned("press", "r1")) as job:
        app.records.models.register(job.lease, a_model(retrain="r1", dataset=1))
    found = next(item for item in diagnose(app.home) if item.name == "MLflow")
    assert (found.ok, found.detail) == (False, "MLflow lacks version 1 of 'press', which is v1 here.")


def test_a_role_that_is_in_force_is_in_the_ledger_wherever_its_making_was_killed(tmp_path, monkeypatch, workspace):
    workspace(tmp_path)
    app = Linewright.open(tmp_path)
    with monkeypatch.context() as killing:
        killing.setattr(app.records.ledger, "note", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            add_actor(app, "anna", role="engineer", by="operator")
    assert "anna" not in office(app).actors.roles
    identity = add_actor(app, "anna", role="engineer", by="operator")
    (event,) = app.records.ledger.events(kind="key added")
    assert (event.actor, event.data) == ("operator", {"actor": "anna", "key": identity, "role": "engineer"})


def test_only_an_overrider_whose_key_is_here_gives_roles(tmp_path, workspace):
    workspace(tmp_path)
    app = Linewright.open(tmp_path)
    add_actor(app, "vera", role="viewer", by="operator")
    add_actor(app, "olga", role="overrider", by="operator")
    (tmp_path / "keys" / "olga.pem").unlink()
    for by, why in (("vera", "'vera' is viewer"), ("ghost", "has no role here"), ("olga", "key of 'olga' is not here")):
        with pytest.raises(RefusedError, match=why):
            add_actor(app, "eve", role="overrider", by=by)
    assert "eve" not in office(app).actors.roles
    assert not (tmp_path / "keys" / "eve.pem").exists()


def test_a_decision_says_that_it_holds_where_mlflow_does_not_answer(planned):
    app = planned("press", "r1").app
    with retraining(planned("press", "r1")) as job:
        app.records.models.register(job.lease, a_model(retrain="r1", dataset=1))
    app.line = lambda _: None
    app.tracker.sync_aliases = Mock(side_effect=UnavailableError("MLflow is away.", hint="Start it."))
    with pytest.raises(UnavailableError, match=r"The decision holds, but .* MLflow is away\. Start it\. The next"):
        approve_version(app, "press", version=1, actor="operator", reason="recall is what we need")
    assert app.records.models.champion("press").version == 1
    app.tracker.sync_aliases = Mock()
    copy_aliases(app)
    app.tracker.sync_aliases.assert_called_once_with("press", {"champion": 1, "previous": None, "candidate": None})
    assert app.records.decisions.outbox() == ()
