"""Writes `formats/<revision>.sql`, a small database of the current format; run it once when a revision is released.

PYTHONPATH=. python tests/components/adapters/db/make_format.py
"""

import sqlite3
import tempfile
from pathlib import Path

from components.adapters.db import Records
from components.core.contracts import Split
from components.testing.records import a_decision, a_drift_report, a_model, a_verdict


def fill(records: Records) -> None:
    lease = records.leases.acquire("press", holder="plant:41:7:0123456789abcdef", ttl=20)
    records.ledger.note("key added", actor="operator", data={"key": "0" * 64})
    begun = {"key": "k" * 64, "dataset": 1, "actor": "operator", "config": {"budget": 8}}
    records.retrains.begin(lease, retrain_id="r1", **begun)
    records.retrains.checkpoint(lease, "r1", "search", {"best": {"k": 3}})
    records.looks.look("press", dataset=1, split=Split.TEST, subject="r1")
    records.models.register(lease, a_model(retrain="r1"))
    records.retrains.finish(lease, "r1", "done", {})
    records.decisions.decide(a_decision(1), expected_champion=None)
    records.verdicts.add([a_verdict("v1")])
    check = records.drift.add(a_drift_report(), champion=1, html="")
    records.requests.request_retrain("press", reason="drift", drift_check=check)
    records.leases.release(lease)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "records.db"
        records = Records.create(f"sqlite:///{file}", busy_timeout=5)
        fill(records)
        records.close()
        lines = "\n".join(sqlite3.connect(file).iterdump()) + "\n"
    target = Path(__file__).parent / "formats" / f"{Records.schema_version}.sql"
    target.write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    main()
