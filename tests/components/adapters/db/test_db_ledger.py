import json
from collections.abc import Callable
from hashlib import sha256

import pytest
from sqlalchemy import Connection, delete, insert, select, update

from components.adapters.db import Records
from components.adapters.db.tables import LEDGER, LEDGER_HEAD
from components.core.errors import IntegrityError


@pytest.fixture
def five(records: Records) -> Records:
    for number in range(1, 6):
        records.ledger.note("key added", line="press", actor="anna", data={"n": number, "text": "Größe 🏭"})
    return records


def test_an_empty_ledger_is_whole(records: Records) -> None:
    assert records.ledger.verify() == 0
    assert records.ledger.events() == ()


def test_the_chain_can_be_computed_by_anybody(five: Records) -> None:
    assert five.ledger.verify() == 5
    previous = "0" * 64
    for event in five.ledger.events():
        body = {
            "number": event.number,
            "time": event.time.isoformat(),
            "line": "press",
            "kind": "key added",
            "actor": "anna",
            "data": {"n": event.number, "text": "Größe 🏭"},
        }
        text = json.dumps(
            {"previous": previous, "event": body}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
        assert event.previous == previous
        assert event.hash == sha256(text.encode()).hexdigest()
        previous = event.hash


def test_events_are_paged_and_chosen_by_line(five: Records) -> None:
    five.ledger.note("line added", line="mill", data={})
    assert [event.number for event in five.ledger.events(after=3)] == [4, 5, 6]
    assert [event.number for event in five.ledger.events("press", limit=2)] == [1, 2]
    assert [event.number for event in five.ledger.events("mill")] == [6]


def _data(session: Connection) -> None:
    session.execute(update(LEDGER).where(LEDGER.c.number == 3).values(data='{"n":9}'))


def _spelling(session: Connection) -> None:
    text = session.scalar(select(LEDGER.c.data).where(LEDGER.c.number == 3)) or ""
    session.execute(update(LEDGER).where(LEDGER.c.number == 3).values(data=text.replace(":", ": ", 1)))


def _not_json(session: Connection) -> None:
    session.execute(update(LEDGER).where(LEDGER.c.number == 3).values(data="{"))


def _actor(session: Connection) -> None:
    session.execute(update(LEDGER).where(LEDGER.c.number == 3).values(actor="bert"))


def _hash(session: Connection) -> None:
    session.execute(update(LEDGER).where(LEDGER.c.number == 3).values(hash="f" * 64))


def _swapped(session: Connection) -> None:
    for source, target in ((3, 9), (4, 3), (9, 4)):
        session.execute(update(LEDGER).where(LEDGER.c.number == source).values(number=target))


@pytest.mark.parametrize("tamper", [_data, _spelling, _not_json, _actor, _hash, _swapped])
def test_the_first_changed_event_is_named(five: Records, tamper: Callable[[Connection], None]) -> None:
    with five._database.write() as session:
        tamper(session)
    with pytest.raises(IntegrityError, match=r"Event 3 of the ledger .* was changed"):
        five.ledger.verify()


def test_a_removed_event_is_named(five: Records) -> None:
    with five._database.write() as session:
        session.execute(delete(LEDGER).where(LEDGER.c.number == 3))
    with pytest.raises(IntegrityError, match="Event 3 of the ledger is missing"):
        five.ledger.verify()


def test_a_cut_tail_shows_against_the_head(five: Records) -> None:
    with five._database.write() as session:
        session.execute(delete(LEDGER).where(LEDGER.c.number > 3))
    with pytest.raises(IntegrityError, match="ends with event 3, but its head tells of 5"):
        five.ledger.verify()


def test_an_added_event_shows_against_the_head(five: Records) -> None:
    last = five.ledger.events()[-1]
    with five._database.write() as session:
        row = {"number": 6, "time": last.time, "line": "", "kind": "x", "actor": "x", "data": "{}"}
        session.execute(insert(LEDGER).values(**row, previous=last.hash, hash="0" * 64))
    with pytest.raises(IntegrityError, match="Event 6"):
        five.ledger.verify()


def test_a_rewritten_event_breaks_the_next_one(five: Records) -> None:
    from components.adapters.db.ledger import event_hash

    third = five.ledger.events()[2]
    body = {"number": 3, "time": third.time, "line": "press", "kind": "key added", "actor": "anna", "data": {"n": 0}}
    forged = event_hash(previous=third.previous, **body)
    with five._database.write() as session:
        session.execute(update(LEDGER).where(LEDGER.c.number == 3).values(data='{"n":0}', hash=forged))
    with pytest.raises(IntegrityError, match="Event 4"):
        five.ledger.verify()


def test_an_act_that_fails_leaves_no_event(five: Records) -> None:
    def act() -> None:
        with five._database.write() as session:
            five.ledger.append(session, line="", kind="x", actor="x", data={})
            raise RuntimeError("the act failed")

    with pytest.raises(RuntimeError, match="the act failed"):
        act()
    assert five.ledger.verify() == 5


def test_a_missing_head_is_told(five: Records) -> None:
    with five._database.bare() as session:
        session.execute(delete(LEDGER_HEAD))
    try:
        with pytest.raises(IntegrityError, match="its head tells of nothing"):
            five.ledger.verify()
        with pytest.raises(IntegrityError, match="head is missing"):
            five.ledger.note("x", data={})
    finally:
        with five._database.bare() as session:
            session.execute(insert(LEDGER_HEAD).values(id=1, number=0, hash="0" * 64))
