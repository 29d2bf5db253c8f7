import os
import signal
import subprocess
import sys
import time

from flows.runtime.locks import FileLock

HOLD = """
import sys, time
from pathlib import Path
from flows.runtime.locks import FileLock
lock = FileLock(Path(sys.argv[1]))
assert lock.try_exclusive() if sys.argv[2] == "alone" else lock.try_shared()
print("held", flush=True)
time.sleep(60)
"""


def _holder(path, how):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path), how], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_shared_holders_keep_an_exclusive_one_out(tmp_path):
    path = tmp_path / "new" / "users.lock"
    with FileLock(path) as first, FileLock(path) as second, FileLock(path) as alone:
        assert first.try_shared()
        assert second.try_shared()
        assert not alone.try_exclusive()
        first.release()
        assert not alone.try_exclusive()
        second.release()
        assert alone.try_exclusive()
        assert not first.try_shared()


def test_a_killed_holder_lets_go(tmp_path):
    path = tmp_path / "a.lock"
    process = _holder(path, "alone")
    with FileLock(path) as lock:
        began = time.monotonic()
        assert not lock.wait_shared(timeout=0.2)
        assert time.monotonic() - began >= 0.2
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert lock.try_exclusive()


def test_the_holder_says_who_it_is(tmp_path):
    with FileLock(tmp_path / "up.lock") as lock:
        assert lock.read() == ""
        assert lock.try_exclusive()
        lock.write("123456")
        lock.write("42")
        assert FileLock(tmp_path / "up.lock").read() == "42"
