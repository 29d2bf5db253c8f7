import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import update

from components.adapters.db import Records
from components.adapters.db import leases as leases_module
from components.adapters.db.holder import boot_id, describe, is_gone, this_process
from components.adapters.db.tables import LEASES
from components.core.errors import ConflictError, UnavailableError

ROOT = Path(__file__).parents[4]
STRANGER = "other-host:1:1:elsewhere"


def test_a_live_lease_is_refused_and_its_holder_named(records: Records) -> None:
    records.leases.acquire("press", holder=this_process(), ttl=60)
    with pytest.raises(ConflictError, match=f"process {os.getpid()} on "):
        records.leases.acquire("press", holder=STRANGER, ttl=60)


def test_tokens_rise_for_each_line_by_itself(records: Records) -> None:
    tokens = []
    for _ in range(3):
        lease = records.leases.acquire("press", holder=STRANGER, ttl=60)
        tokens.append(lease.token)
        records.leases.release(lease)
    assert tokens == [1, 2, 3]
    assert records.leases.acquire("mill", holder=STRANGER, ttl=60).token == 1


def test_a_lease_that_ran_out_is_taken_and_the_old_token_is_stale(records: Records) -> None:
    old = records.leases.acquire("press", holder=STRANGER, ttl=0.05)
    time.sleep(0.1)
    new = records.leases.acquire("press", holder=this_process(), ttl=60)
    assert new.token == old.token + 1
    with pytest.raises(ConflictError, match=r"token 1\) was lost by process"):
        records.leases.renew(old)
    with pytest.raises(ConflictError, match="was lost"):
        records.retrains.begin(old, retrain_id="r", key="k", dataset=1, actor="a", config={})
    records.leases.release(old)
    assert records.leases.holder("press") == this_process()
    assert [event.kind for event in records.ledger.events("press")] == ["lease taken over"]


def test_a_renewed_lease_lives_on(records: Records) -> None:
    lease = records.leases.acquire("press", holder=STRANGER, ttl=0.4)
    for _ in range(4):
        time.sleep(0.15)
        records.leases.renew(lease)
    assert records.leases.holder("press") == STRANGER


def test_a_late_renewal_holds_if_nobody_came_between(records: Records) -> None:
    lease = records.leases.acquire("press", holder=STRANGER, ttl=0.8)
    time.sleep(0.9)
    assert records.leases.holder("press") == ""
    records.leases.renew(lease)
    assert records.leases.holder("press", token=lease.token) == STRANGER


def test_the_wall_clock_moves_no_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = Records.create(f"sqlite:///{tmp_path / 'r.db'}", busy_timeout=5)
    records.leases.acquire("press", holder=this_process(), ttl=60)
    monkeypatch.setattr(time, "time", lambda: 4e9)
    with pytest.raises(ConflictError):
        records.leases.acquire("press", holder=STRANGER, ttl=60)


def test_a_lease_of_another_boot_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = Records.create(f"sqlite:///{tmp_path / 'r.db'}", busy_timeout=5)
    records.leases.acquire("press", holder=STRANGER, ttl=3600)
    monkeypatch.setattr(leases_module, "boot_id", lambda: "after a restart")
    assert records.leases.acquire("press", holder=this_process(), ttl=60).token == 2


def test_a_killed_holder_is_replaced_at_once(url: str, records: Records) -> None:
    code = (
        "import sys, time\n"
        "from components.adapters.db import Records\n"
        "from components.adapters.db.holder import this_process\n"
        "lease = Records.open(sys.argv[1], busy_timeout=20).leases.acquire('press', holder=this_process(), ttl=3600)\n"
        "print(lease.token, flush=True)\n"
        "time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, url], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "1\n"
    with pytest.raises(ConflictError, match=f"process {child.pid} on "):
        records.leases.acquire("press", holder=this_process(), ttl=60)
    child.kill()
    # Not waited for: the killed child stays a zombie, as in a container without an init process.
    deadline = time.monotonic() + 5
    while records.leases.holder("press") != "" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert records.leases.acquire("press", holder=this_process(), ttl=60).token == 2
    child.wait()
    child.stdout.close()


def test_held_leases_are_renewed_and_released(records: Records) -> None:
    with records.leases.hold("press", holder=STRANGER, ttl=1.0) as held:
        time.sleep(1.6)
        assert not held.taken
        assert records.leases.holder("press") == STRANGER
    assert records.leases.holder("press") == ""


def test_a_held_lease_that_is_taken_says_so(records: Records) -> None:
    with records.leases.hold("press", holder=STRANGER, ttl=0.3) as held:
        with records._database.write() as session:
            session.execute(update(LEASES).values(token=9, holder="thief:1:1:"))
        deadline = time.monotonic() + 3
        while not held.taken and time.monotonic() < deadline:
            time.sleep(0.02)
        assert held.taken
    assert records.leases.holder("press") == "thief:1:1:"


def test_an_unreachable_database_is_asked_again(records: Records) -> None:
    from components.adapters.db.heartbeat import HeldLease

    calls: list[int] = []

    def renew(lease: int) -> None:
        calls.append(lease)
        raise UnavailableError("gone")

    held = HeldLease(1, renew=renew, ttl=0.15)
    held.start()
    time.sleep(0.4)
    held.stop()
    assert not held.taken
    assert len(calls) >= 3


def test_only_what_is_known_to_be_gone_is_gone() -> None:
    host, pid, start, space = this_process().rsplit(":", 3)
    assert not is_gone(this_process())
    assert is_gone(f"{host}:{pid}:{int(start) + 1}:{space}")
    assert not is_gone(f"{host}:{pid}:{int(start) + 1}:elsewhere")
    assert not is_gone("nonsense")
    assert not is_gone("")
    assert describe("nonsense") == "nonsense"
    assert boot_id()


def test_a_process_that_ended_is_gone() -> None:
    code = "from components.adapters.db.holder import this_process; print(this_process())"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert is_gone(run.stdout.strip())
