"""The data registry on real git and DVC: whole versions or none, every byte checked, damage named."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from components.adapters.datasets import DataRegistry
from components.core.contracts import DatasetVersion, Modality, Quarantined
from components.core.errors import (
    ConflictError,
    IntegrityError,
    UnavailableError,
    UnknownVersionError,
    WorkspaceError,
)
from components.core.hashing import sha256_bytes
from components.samples.manifest import manifest_rows
from components.settings import DataSettings, ObjectSettings, Settings


def contents(*numbers: int) -> list[bytes]:
    return [f"content of sample {number}".encode() * 20 for number in numbers]


def stage(folder: Path, *numbers: int) -> tuple[pd.DataFrame, dict[str, Path]]:
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, Path] = {}
    for data in contents(*numbers):
        files[sha256_bytes(data)] = folder / sha256_bytes(data)
        files[sha256_bytes(data)].write_bytes(data)
    names = sorted(files)
    n = len(names)
    return manifest_rows({
        "sample": names, "file": names, "path": [f"good/{name[:6]}.png" for name in names], "label": ["normal"] * n,
        "split": ["train"] * n, "added_in": [1] * n,
    }), files  # fmt: skip


def commit(registry: DataRegistry, tmp: Path, *numbers: int, line: str = "press", **more: object) -> DatasetVersion:
    manifest, files = stage(tmp / "staged", *numbers)
    refused = (Quarantined(path="x", sha256="0", reason="empty", detail="no bytes"),)
    return registry.commit(
        line, modality=Modality.IMAGE, manifest=manifest, files=files, quarantined=refused, schema=None, **more
    )  # fmt: skip


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with press/v1 (samples 0 to 4), copied for each test: making it takes seconds."""
    home = tmp_path_factory.mktemp("template") / "home"
    home.mkdir()
    registry = DataRegistry(Settings(home=home))
    registry.init()
    commit(registry, home.parent, *range(5))
    return home


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Path:
    shutil.copytree(template, tmp_path / "moved", symlinks=True)
    return tmp_path / "moved"


@pytest.fixture
def registry(home: Path) -> DataRegistry:
    return DataRegistry(Settings(home=home))


def git(home: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=home / "data", capture_output=True, text=True, check=True).stdout


def test_a_version_reads_back_as_it_was_written(registry: DataRegistry, home: Path, tmp_path: Path) -> None:
    version = registry.latest("press")
    assert version is not None
    assert (version.tag, version.quarantined, version.counts) == ("press/v1", 1, {"train": {"normal": 5}})
    manifest, _ = stage(tmp_path / "again", *range(5))
    assert registry.manifest(version).equals(manifest)
    assert registry.same(version, manifest)
    assert not registry.same(version, manifest.iloc[1:])
    assert registry.quarantined(version)[0].reason == "empty"
    read = registry.reader(version)
    assert [read(sha256_bytes(data)) for data in contents(*range(5))] == contents(*range(5))
    assert registry.get("press", 1) == version
    assert registry.versions("press") == [version]
    assert "Linewright <linewright@localhost>" in git(home, "log", "-1", "--format=%an <%ae>", "press/v1")
    assert git(home, "status", "--short") == ""
    assert git(home, "cat-file", "-t", "press/v1").strip() == "tag"


def test_what_is_not_there(registry: DataRegistry, tmp_path: Path) -> None:
    assert registry.latest("other") is None
    assert registry.versions("other") == []
    with pytest.raises(UnknownVersionError, match="press/v7"):
        registry.get("press", 7)
    with pytest.raises(WorkspaceError):
        DataRegistry(Settings(home=tmp_path / "nowhere")).latest("press")


def test_versions_follow_each_other_and_old_ones_stay(registry: DataRegistry, tmp_path: Path) -> None:
    first = registry.latest("press")
    second = commit(registry, tmp_path, *range(8), expected=1)
    other = commit(registry, tmp_path, 50, line="pump", expected=0)
    assert (second.tag, other.tag) == ("press/v2", "pump/v1")
    assert registry.versions("press") == [first, second]
    assert len(registry.manifest(first)) == 5
    registry.verify(second)
    with pytest.raises(ConflictError, match="press/v2"):
        commit(registry, tmp_path, *range(9), expected=1)


def test_init_twice_changes_nothing(registry: DataRegistry, home: Path) -> None:
    before = git(home, "rev-parse", "HEAD")
    registry.init()
    assert git(home, "rev-parse", "HEAD") == before


def test_dvc_tells_nobody_of_a_new_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DVC reports from a process that it forks, and reads that it must not only from what `init` makes."""
    seen, hook = tmp_path / "seen", tmp_path / "hook"
    hook.mkdir()
    (hook / "sitecustomize.py").write_text(
        "import sys\n"
        "def watch(event, arguments):\n"
        "    if event in ('os.fork', 'socket.getaddrinfo', 'socket.connect'):\n"
        f"        with open({str(seen)!r}, 'a') as file: file.write(f'{{event}} {{arguments}}\\n')\n"
        "sys.addaudithook(watch)\n"
        f"open({str(seen)!r}, 'a').close()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(hook))
    for variable in ("CI", "DVC_TEST", "DVC_NO_ANALYTICS"):
        monkeypatch.delenv(variable, raising=False)
    DataRegistry(Settings(home=tmp_path)).init()
    assert seen.read_text() == ""


def test_reading_imports_neither_dvc_nor_boto(home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from components.settings import Settings;"
        "from components.adapters.datasets import DataRegistry;"
        f"r = DataRegistry(Settings(home=Path({str(home)!r}))); r.manifest(r.latest('press')); r.get('press', 1);"
        "assert not {'dvc', 'boto3'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def stored(home: Path, data: bytes) -> Path:
    name = sha256_bytes(data)
    return home / "data" / "lines" / "press" / "samples" / name[:2] / name


def damage(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(b"X" + path.read_bytes()[1:])


def remote_copy(home: Path, data: bytes) -> Path:
    return next(path for path in (home / "data-remote").rglob("*") if path.is_file() and path.read_bytes() == data)


def test_damage_here_is_mended_from_the_remote(registry: DataRegistry, home: Path, tmp_path: Path) -> None:
    first, second = contents(0, 1)
    damage(stored(home, first))
    stored(home, second).unlink()
    version = registry.latest("press")
    registry.verify(version)
    assert stored(home, first).read_bytes() == first
    assert stored(home, second).read_bytes() == second
    # A damaged file must never be tracked under the name of the good one.
    damage(stored(home, first))
    registry.verify(commit(registry, tmp_path, *range(6)))


def test_damage_here_and_at_the_remote_names_the_file(registry: DataRegistry, home: Path) -> None:
    first, second = contents(2, 3)
    damage(remote_copy(home, first))
    stored(home, first).unlink()
    remote_copy(home, second).unlink()
    damage(stored(home, second))
    read = registry.reader(registry.latest("press"))
    for data in (first, second):
        with pytest.raises(IntegrityError) as error:
            read(sha256_bytes(data))
        assert sha256_bytes(data) in str(error.value)
        assert f"good/{sha256_bytes(data)[:6]}.png" in str(error.value)


def test_a_changed_manifest_is_seen(registry: DataRegistry) -> None:
    version = registry.latest("press")
    with pytest.raises(IntegrityError, match="press/v1"):
        registry.manifest(version.model_copy(update={"manifest_sha256": "0" * 64}))


def test_the_remote_is_made_whole_though_dvc_takes_it_for_whole(
    registry: DataRegistry, home: Path, tmp_path: Path
) -> None:
    lost = contents(4)[0]
    remote_copy(home, lost).unlink()
    commit(registry, tmp_path, *range(6))
    assert remote_copy(home, lost).read_bytes() == lost


def test_a_file_that_is_not_what_it_was_is_refused(registry: DataRegistry, tmp_path: Path) -> None:
    manifest, files = stage(tmp_path / "staged", 0, 9)
    next(path for path in files.values() if path.read_bytes() == contents(9)[0]).write_bytes(b"changed since")
    with pytest.raises(IntegrityError, match="not the file"):
        registry.commit("new", modality=Modality.IMAGE, manifest=manifest, files=files, quarantined=(), schema=None)
    assert registry.latest("new") is None


@pytest.mark.parametrize("content", ["", "{garbage"])
def test_locks_of_the_dead_are_no_hindrance(registry: DataRegistry, home: Path, tmp_path: Path, content: str) -> None:
    folder = home / "data" / ".dvc" / "tmp"
    for name in ("lock", "rwlock", "rwlock.lock"):
        (folder / name).write_text(content if name == "rwlock" else "999999")
    (home / "data" / ".git" / "index.lock").write_text("")
    assert commit(registry, tmp_path, *range(6)).tag == "press/v2"


def test_a_lock_of_a_dead_process_that_nobody_reaped_is_no_hindrance(
    registry: DataRegistry, home: Path, tmp_path: Path
) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])  # a zombie until it is waited for
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
    samples = home / "data" / "lines" / "press" / "samples"
    held = {"read": {}, "write": {str(samples): {"pid": dead.pid, "cmd": "dvc add"}}}
    (home / "data" / ".dvc" / "tmp" / "rwlock").write_text(json.dumps(held))
    assert commit(registry, tmp_path, *range(6)).tag == "press/v2"
    dead.wait()


def test_a_live_dvc_is_respected(
    registry: DataRegistry, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("components.adapters.dvc_repository._WAIT", 0.5)
    code = (
        "import fcntl, sys, time; f = open(sys.argv[1], 'a'); fcntl.flock(f, 2);"
        "print('held', flush=True); time.sleep(60)"
    )
    lock = home / "data" / ".dvc" / "tmp" / "lock"
    with subprocess.Popen([sys.executable, "-c", code, str(lock)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(ConflictError, match="lock"):
            commit(registry, tmp_path, *range(6))
        holder.kill()
    assert commit(registry, tmp_path, *range(6)).tag == "press/v2"


def test_two_writers_do_not_mix(home: Path, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(commit, DataRegistry(Settings(home=home)), tmp_path / line, 60 + place, line=line)
            for place, line in enumerate(("a", "b"))
        ]
        assert [job.result().tag for job in jobs] == ["a/v1", "b/v1"]
    for line in ("a", "b"):
        registry = DataRegistry(Settings(home=home))
        registry.verify(registry.latest(line))


@pytest.mark.parametrize(("delay", "whole"), [(0.2, True), (0.8, False), (1.4, True), (2.0, False)])
def test_a_killed_commit_leaves_no_version_or_a_whole_one(
    home: Path, tmp_path: Path, delay: float, whole: bool
) -> None:
    manifest, files = stage(tmp_path / "staged", *range(40))
    manifest.to_parquet(tmp_path / "manifest.parquet")
    code = (
        "import sys; from pathlib import Path; import pandas as pd;"
        "from components.settings import Settings; from components.adapters.datasets import DataRegistry;"
        "home, tmp = map(Path, sys.argv[1:]); m = pd.read_parquet(tmp / 'manifest.parquet');"
        "files = {p.name: p for p in (tmp / 'staged').iterdir()}; r = DataRegistry(Settings(home=home));"
        "print('go', flush=True);"
        "r.commit('press', modality='image', manifest=m, files=files, quarantined=(), schema=None, expected=1)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(home), str(tmp_path)], stdout=subprocess.PIPE, start_new_session=True
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(delay)
        os.killpg(writer.pid, signal.SIGKILL) if whole else writer.kill()
    registry = DataRegistry(Settings(home=home))
    version = registry.latest("press")
    assert version is not None
    registry.verify(version)
    if version.number == 1:
        version = registry.commit(
            "press", modality=Modality.IMAGE, manifest=manifest, files=files, quarantined=(), schema=None, expected=1
        )
    assert (version.number, len(registry.manifest(version))) == (2, 40)
    shutil.rmtree(home / "data" / "lines" / "press" / "samples")
    shutil.rmtree(home / "data" / ".dvc" / "cache")
    registry.verify(version)  # from the remote alone
    registry.init()
    assert git(home, "status", "--short") == ""


def test_a_branch_that_did_not_follow_its_tag_is_brought_up(registry: DataRegistry, home: Path, tmp_path: Path) -> None:
    second = commit(registry, tmp_path, *range(6))
    git(home, "update-ref", "HEAD", "press/v1^{commit}")
    third = commit(registry, tmp_path, *range(7))
    assert git(home, "rev-parse", f"{third.revision}^").strip() == second.revision


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectSettings]:
    import boto3
    from moto.server import ThreadedMotoServer

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    server = ThreadedMotoServer(port=0)
    server.start()
    settings = ObjectSettings(endpoint_url="http://{}:{}".format(*server.get_host_and_port()), timeout=10)
    boto3.client("s3", endpoint_url=settings.endpoint_url, region_name=settings.region).create_bucket(Bucket="data")
    yield settings
    server.stop()


@pytest.mark.server
def test_a_remote_on_s3(home: Path, tmp_path: Path, s3: ObjectSettings) -> None:
    registry = DataRegistry(Settings(home=home, data=DataSettings(remote="s3://data/registry"), objects=s3))
    version = commit(registry, tmp_path, *range(7))
    shutil.rmtree(home / "data" / "lines" / "press" / "samples")
    shutil.rmtree(home / "data" / ".dvc" / "cache")
    registry.verify(version)
    assert "s3://data/registry" in (home / "data" / ".dvc" / "config").read_text()


def test_the_remote_moves_with_the_workspace(home: Path) -> None:
    config = (home / "data" / ".dvc" / "config").read_text()
    assert "url = ../../data-remote" in config
    assert json.loads(git(home, "show", "press/v1:lines/press/version.json"))["number"] == 1


def test_an_index_that_did_not_follow_its_branch_is_brought_up(
    registry: DataRegistry, home: Path, tmp_path: Path
) -> None:
    commit(registry, tmp_path, *range(6))
    git(home, "read-tree", "press/v1^{commit}")  # killed between the two steps of following
    assert git(home, "status", "--short") != ""
    registry.init()
    assert git(home, "status", "--short") == ""


def test_a_registry_of_another_user_is_named_not_what_git_advises(registry, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(UnavailableError, match="git for-each-ref: fatal: detected dubious ownership in repository"):
        registry.latest("line")
