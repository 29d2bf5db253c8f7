"""One behaviour for both stores: a folder, and S3 as moto's server speaks it."""

import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from components.adapters.objects import FolderStore, S3Store, open_store
from components.core.errors import ConfigError, SourceError, UnavailableError
from components.core.hashing import sha256_bytes
from components.core.ports import ObjectStore
from components.settings import ObjectSettings

FILES = {"a.txt": b"alpha", "deep/b.bin": bytes(range(256)) * 40, "deep/er/c": b"", "ü ß.txt": b"umlaut"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> ObjectSettings:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return ObjectSettings(endpoint_url=endpoint, timeout=5)


def client(settings: ObjectSettings):
    return boto3.client("s3", endpoint_url=settings.endpoint_url, region_name=settings.region)


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.server)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "folder":
        for key, content in FILES.items():
            path = tmp_path / "source" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return open_store(str(tmp_path / "source"), ObjectSettings())
    settings = request.getfixturevalue("s3")
    bucket = f"b{sha256_bytes(str(tmp_path).encode())[:20]}"
    client(settings).create_bucket(Bucket=bucket)
    for key, content in FILES.items():
        client(settings).put_object(Bucket=bucket, Key=f"line/{key}", Body=content)
    client(settings).put_object(Bucket=bucket, Key="line/deep/", Body=b"")
    client(settings).put_object(Bucket=bucket, Key="line-2/other", Body=b"a neighbour")
    return open_store(f"s3://{bucket}/line", settings)


def test_list_is_sorted_with_sizes(store: ObjectStore) -> None:
    assert list(store.list()) == sorted((key, len(content)) for key, content in FILES.items())


def test_fetch_is_whole_and_hashed(store: ObjectStore, tmp_path: Path) -> None:
    list(store.list())
    for key, content in FILES.items():
        assert store.fetch(key, tmp_path / "out") == sha256_bytes(content)
        assert (tmp_path / "out").read_bytes() == content
        assert store.stamp(key)
    assert [path.name for path in tmp_path.iterdir() if "part" in path.name] == []


@pytest.mark.parametrize("key", ["missing", "../a.txt", "/etc/passwd", "deep/../../x", ""])
def test_missing_and_escaping_keys(store: ObjectStore, tmp_path: Path, key: str) -> None:
    with pytest.raises(SourceError):
        store.fetch(key, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_put(store: FolderStore | S3Store, tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"new")
    store.put("x/new", tmp_path / "new")
    assert ("x/new", 3) in list(store.list())


def test_a_single_file_is_a_source(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"a")
    (tmp_path / "other.csv").write_bytes(b"b")
    store = open_store(str(tmp_path / "t.csv"), ObjectSettings())
    assert list(store.list()) == [("t.csv", 1)]
    assert store.fetch("t.csv", tmp_path / "out") == sha256_bytes(b"a")


def test_links_that_lead_outside_are_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    source = tmp_path / "source"
    source.mkdir()
    (source / "inside").write_bytes(b"fine")
    (source / "link").symlink_to(tmp_path / "secret")
    (source / "alias").symlink_to(source / "inside")
    os.mkfifo(source / "pipe")
    store = open_store(str(source), ObjectSettings())
    assert [key for key, _ in store.list()] == ["alias", "inside", "link"]
    assert store.fetch("alias", tmp_path / "out") == sha256_bytes(b"fine")
    with pytest.raises(SourceError, match="leads outside"):
        store.fetch("link", tmp_path / "out")
    (source / "folder").mkdir()
    (source / "latest").symlink_to(source / "folder")
    (source / ".cache").symlink_to(tmp_path)
    assert [key for key, _ in store.list()] == ["alias", "inside", "link"]
    (source / "train").symlink_to(tmp_path)
    with pytest.raises(SourceError, match=r"train' is a link to a folder outside .* are not followed"):
        list(store.list())


@pytest.mark.parametrize("url", ["/nowhere/at/all", "", "http://x/y", "s3://"])
def test_impossible_sources(url: str) -> None:
    with pytest.raises(SourceError):
        open_store(url, ObjectSettings())


def test_a_bad_endpoint_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="endpoint"):
        open_store("s3://bucket", ObjectSettings(endpoint_url="not a url"))


@pytest.mark.server
def test_more_than_one_page(s3: ObjectSettings) -> None:
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends

    client(s3).create_bucket(Bucket="pages")
    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]  # the server's own memory: a thousand requests take ten seconds
    for number in range(1005):
        backend.put_object("pages", f"{number:05d}", b"x")
    assert [key for key, _ in open_store("s3://pages", s3).list()] == [f"{number:05d}" for number in range(1005)]


@pytest.mark.server
def test_one_object_as_source(s3: ObjectSettings, tmp_path: Path) -> None:
    client(s3).create_bucket(Bucket="single")
    client(s3).put_object(Bucket="single", Key="in/t.csv", Body=b"a\n1\n")
    store = open_store("s3://single/in/t.csv", s3)
    assert list(store.list()) == [("t.csv", 4)]
    assert store.fetch("t.csv", tmp_path / "t") == sha256_bytes(b"a\n1\n")


@pytest.mark.server
def test_missing_bucket_and_dead_server(s3: ObjectSettings, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="NoSuchBucket"):
        list(open_store("s3://no-such-bucket", s3).list())
    (tmp_path / "new").write_bytes(b"new")
    with pytest.raises(SourceError, match="NoSuchBucket"):
        S3Store("s3://no-such-bucket", s3).put("new", tmp_path / "new")
    dead = ObjectSettings(endpoint_url="http://127.0.0.1:9", timeout=0.5)
    with pytest.raises(UnavailableError, match="does not answer"):
        list(open_store("s3://bucket", dead).list())


@pytest.mark.server
def test_a_broken_download_goes_on_where_it_stopped(s3: ObjectSettings, tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    client(s3).create_bucket(Bucket="resume")
    etag = client(s3).put_object(Bucket="resume", Key="big", Body=content)["ETag"]
    part, mark = tmp_path / ".out.part", tmp_path / ".out.etag"
    # A part whose first bytes were changed on purpose shows that they are not read again.
    part.write_bytes(b"X" * 1000 + content[1000:2_000_000])
    mark.write_text(etag)
    store = open_store("s3://resume", s3)
    assert store.fetch("big", tmp_path / "out") == sha256_bytes(b"X" * 1000 + content[1000:])
    # Another object by now: its part is worth nothing.
    part.write_bytes(b"Y" * 1000)
    mark.write_text('"0123"')
    assert store.fetch("big", tmp_path / "out") == sha256_bytes(content)
    # A part without its mark is not trusted.
    part.write_bytes(b"Z" * 1000)
    assert store.fetch("big", tmp_path / "out") == sha256_bytes(content)
    assert {path.name for path in tmp_path.iterdir()} == {"out"}
