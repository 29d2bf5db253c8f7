"""Verdicts, looks, drift checks, requests, ingests."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from components.adapters.db import Records
from components.core.contracts import IngestSummary, Quarantined, Split
from components.core.errors import ConflictError, UnknownVersionError
from components.testing.records import a_dataset, a_drift_report, a_verdict


def test_verdicts_come_back_equal_and_newest_first(records: Records, press) -> None:
    press.candidate("r1")
    moment = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=timezone(timedelta(hours=2)))
    one = a_verdict("v1", score=0.1 + 0.2, path="naïve/ß 中.png", created=moment)
    two = a_verdict("v2", sample="t", start=0, end=2**40, verdict="OK", overlay="o.png")
    records.verdicts.add([one, two])
    records.verdicts.add([])
    records.verdicts.add([a_verdict("v3", verdict="unsure")])
    assert records.verdicts.get("v1") == one
    assert records.verdicts.get("v1").created == datetime(2026, 3, 4, 3, 6, 7, 890123, tzinfo=UTC)
    assert records.verdicts.get("v2") == two
    assert [found.verdict_id for found in records.verdicts.recent("press", 2)] == ["v3", "v2"]
    assert [found.verdict_id for found in records.verdicts.of_sample("press", "s")] == ["v3", "v1"]
    latest = records.verdicts.latest("press", "s")
    assert latest is not None
    assert latest.verdict_id == "v3"
    assert records.verdicts.latest("press", "S") is None
    assert records.verdicts.counts("press", model_version=1) == {"OK": 1, "NG": 1, "unsure": 1}
    assert records.verdicts.counts("press", model_version=2) == {"OK": 0, "NG": 0, "unsure": 0}
    with pytest.raises(UnknownVersionError, match="'v9'"):
        records.verdicts.get("v9")
    scored = [event.data["count"] for event in records.ledger.events("press") if event.kind == "samples scored"]
    assert scored == [2, 1]


def test_the_beginning_of_an_id_names_a_verdict_where_no_other_begins_so(records: Records, press) -> None:
    press.candidate("r1")
    records.verdicts.add([a_verdict(name) for name in ("0123456789ab", "0123456789", "0123456f", "f1234567aa")])
    for given, meant in {
        "0123456789": "0123456789", "0123456789a": "0123456789ab", "0123456f": "0123456f", "f1234567": "f1234567aa",
    }.items():  # fmt: skip
        assert records.verdicts.get(given).verdict_id == meant
    with pytest.raises(UnknownVersionError, match="More than one verdict begins with '01234567'"):
        records.verdicts.get("01234567")
    for unknown in ("f123456", "0123456789ab0", "01234566", "F1234567", "012345%%", ""):
        with pytest.raises(UnknownVersionError, match="There is no verdict"):
            records.verdicts.get(unknown)


def test_verdicts_are_all_kept_or_none(records: Records, press) -> None:
    press.candidate("r1")
    records.verdicts.add([a_verdict("v1")])
    with pytest.raises(ConflictError):
        records.verdicts.add([a_verdict("v2"), a_verdict("v1")])
    with pytest.raises(ConflictError):
        records.verdicts.add([a_verdict("v3", model_version=7)])
    assert [found.verdict_id for found in records.verdicts.recent("press")] == ["v1"]


def test_a_look_counts_once_for_each_subject(records: Records) -> None:
    def look(subject: str, dataset: int = 1) -> int:
        return records.looks.look("press", dataset=dataset, split=Split.TEST, subject=subject)

    assert [look("r1"), look("r1/champion"), look("r1"), look("r2"), look("R1")] == [1, 2, 1, 3, 4]
    assert look("r1", dataset=2) == 1
    assert records.looks.count("press", dataset=1, split=Split.TEST) == 4
    assert records.looks.count("press", dataset=1, split=Split.VALIDATION) == 0
    assert len(records.ledger.events("press")) == 5


def test_drift_checks_are_counted_for_each_champion(records: Records, press) -> None:
    press.candidate("r1")
    press.candidate("r2")
    assert records.drift.latest("press") is None
    first = records.drift.add(a_drift_report(verdict="no drift", kind=""), champion=1, html="")
    second = records.drift.add(a_drift_report(check=2), champion=1, html="reports/2.html")
    assert records.drift.checks_since("press", 1) == 2
    assert records.drift.checks_since("press", 2) == 0
    latest = records.drift.latest("press")
    assert latest is not None
    assert (latest.check_id, latest.champion, latest.html) == (second, 1, "reports/2.html")
    assert latest.report == a_drift_report(check=2)
    assert records.drift.get(first).report.verdict == "no drift"
    with pytest.raises(UnknownVersionError):
        records.drift.get(second + 1)
    records.drift.add(a_drift_report(verdict="not enough data", kind="", check=3), champion=1, html="")
    assert records.drift.checks_since("press", 1) == 3
    assert records.drift.checks_since("press", 1, decided=True) == 2


def test_one_request_is_pending_until_a_retrain_answers_it(records: Records, press) -> None:
    press.candidate("r1")
    press.candidate("r2")
    check = records.drift.add(a_drift_report(), champion=1, html="")
    assert records.requests.pending("press") is None
    asked = records.requests.request_retrain("press", reason="drift", drift_check=check)
    assert records.requests.request_retrain("press", reason="more drift") == asked
    assert records.requests.pending("press") == asked
    assert asked.drift_check == check
    records.requests.close(asked.request_id, "r1")
    records.requests.close(asked.request_id, "r1")
    assert records.requests.pending("press") is None
    assert (records.requests.answered_by("r1"), records.requests.answered_by("r2")) == ((asked,), ())
    with pytest.raises(ConflictError, match="answered by retrain r1"):
        records.requests.close(asked.request_id, "r2")
    with pytest.raises(ConflictError, match="unknown"):
        records.requests.close("q9", "r2")
    assert records.requests.request_retrain("press", reason="again").request_id != asked.request_id


def test_ingests_are_listed_newest_first(records: Records) -> None:
    bad = Quarantined(path="x.png", sha256="0" * 64, reason="truncated", detail="ends early")
    counts = {"found": 3, "added": 2, "duplicates": 0, "skipped": 0}
    one = IngestSummary(line="press", version=a_dataset(), created_version=True, quarantined=(bad,), **counts)
    two = IngestSummary(line="press", version=None, created_version=False, quarantined=(), **counts)
    records.ingests.add(one, actor="anna")
    records.ingests.add(two)
    assert [found.summary for found in records.ingests.list("press")] == [two, one]
    assert [found.summary for found in records.ingests.list("press", limit=1)] == [two]
    event = records.ledger.events("press")[0]
    assert (event.kind, event.actor) == ("data ingested", "anna")
    assert (event.data["dataset"], event.data["quarantined"]) == ("press/v1", 1)
