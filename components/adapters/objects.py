"""Where files come from: a folder or an S3 prefix, behind one port. THE importer of boto3.

An object arrives whole or not at all: it is written beside its target under a temporary name, its size compared, and
only then moved into place. A download from S3 that broke off is continued where it stopped, by `Range` and `If-Match`,
as long as the object's ETag is the same.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from components.adapters.folders import BLOCK, FolderStore, cannot_write, check_key, settle
from components.core.errors import ConfigError, SourceError, UnavailableError
from components.core.hashing import sha256_file
from components.settings import ObjectSettings

_TRIES = 5
_GONE = {"404", "NoSuchKey", "NoSuchBucket", "NotFound"}
_FORBIDDEN = {"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"}


def open_store(url: str, settings: ObjectSettings) -> "FolderStore | S3Store":
    """The store at `url`: a folder, a single file, or `s3://bucket/prefix`.

    Raises:
        SourceError: There is no such folder, or it is another kind of URL.
    """
    if url.startswith("s3://"):
        return S3Store(url, settings)
    if "://" in url:
        raise SourceError(f"Source {url!r} is no folder and not on S3.", hint="Give a path or s3://bucket/prefix.")
    if not url.strip():
        raise SourceError("The source is empty.", hint="Give a path or s3://bucket/prefix.")
    return FolderStore(Path(url).expanduser())


class S3Store:
    """Objects below `s3://bucket/prefix`, or the one object of that name. Keys come from AWS_* variables."""

    def __init__(self, url: str, settings: ObjectSettings) -> None:
        self._url = url
        self._bucket, _, prefix = url.removeprefix("s3://").partition("/")
        if not self._bucket:
            raise SourceError(f"{url!r} names no bucket.", hint="Write it as s3://bucket/prefix.")
        self._prefix = prefix.strip("/")
        self._base = f"{self._prefix}/" if self._prefix else ""
        self._client = _client(settings)
        self._listed: dict[str, tuple[str, str]] = {}  # key → full key, ETag

    def list(self) -> Iterator[tuple[str, int]]:
        """See `ObjectStore.list`; pages of 1,000, in S3's order, which is by key.

        Raises:
            SourceError: There is no such bucket, or it may not be read.
            UnavailableError: The server does not answer.
        """
        with _translated(self._url):
            for page in self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=self._prefix
            ):
                for item in page.get("Contents", ()):
                    key = self._relative(item["Key"])
                    if key:
                        self._listed[key] = item["Key"], item["ETag"]
                        yield key, int(item["Size"])

    def stamp(self, key: str) -> str:
        """See `ObjectStore.stamp`; the ETag that `list` saw."""
        return f"etag:{self._listed[key][1]}" if key in self._listed else ""

    def fetch(self, key: str, target: Path) -> str:
        """See `ObjectStore.fetch`."""
        part = target.with_name(f".{target.name}.part")
        etag = part.with_suffix(".etag")
        try:
            for attempt in range(_TRIES):
                if self._continue(key, part, etag):
                    digest = sha256_file(part)
                    part.replace(target)
                    etag.unlink(missing_ok=True)
                    return digest
                time.sleep(0.2 * 2**attempt)
        except OSError as error:
            raise cannot_write(target, error) from error
        raise UnavailableError(
            f"{self._url}: {key!r} broke off {_TRIES} times.", hint="Run the command again: it continues there."
        )

    def put(self, key: str, source: Path) -> None:
        """Store a copy of `source` under `key`."""
        with _translated(f"{self._url}: {key!r}"):
            self._client.upload_file(str(source), self._bucket, self._base + check_key(key))

    def _relative(self, full: str) -> str:
        """The key below the prefix; "" for folder marks and for neighbours whose name only begins like the prefix."""
        if full.endswith("/"):
            return ""
        if full == self._prefix:
            return PurePosixPath(full).name
        return full.removeprefix(self._base) if full.startswith(self._base) else ""

    def _continue(self, key: str, part: Path, etag: Path) -> bool:
        """Read the object from where `part` ends; true once it is whole."""
        from botocore.exceptions import BotoCoreError

        full = self._listed[key][0] if key in self._listed else self._base + check_key(key)
        done = part.stat().st_size if part.exists() and etag.exists() else 0
        condition = {"Range": f"bytes={done}-", "IfMatch": etag.read_text()} if done else {}
        try:
            with _translated(f"{self._url}: {key!r}"):
                answer = self._client.get_object(Bucket=self._bucket, Key=full, **condition)
        except _Changed:
            # Another object by now, or the partial file was whole already: read it from the start.
            etag.unlink(missing_ok=True)
            part.unlink(missing_ok=True)
            return False
        if not done:
            part.unlink(missing_ok=True)  # before the ETag is written: never an old part under a new ETag
        etag.write_text(answer["ETag"])
        total = done + int(answer["ContentLength"])
        try:
            with part.open("ab" if done else "wb") as sink:
                for block in answer["Body"].iter_chunks(BLOCK):
                    sink.write(block)
                settle(sink)
        except BotoCoreError:  # the stream broke: keep what came
            return False
        return part.stat().st_size == total


class _Changed(Exception):  # noqa: N818 - an answer, never seen outside this module
    """The object is not the one that a partial file began with."""


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Turn botocore's errors into ours; its own bounded retries are over by then."""
    from boto3.exceptions import S3UploadFailedError
    from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

    try:
        try:
            yield
        except S3UploadFailedError as error:  # what `upload_file` makes of an answer, in words alone
            raise error.__context__ or error from None
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", ""))
        if code in {"412", "PreconditionFailed", "416", "InvalidRange"}:
            raise _Changed from error
        if code in _GONE:
            raise SourceError(f"{what} does not exist ({code}).", hint="Check bucket, prefix and endpoint.") from error
        if code in _FORBIDDEN:
            raise SourceError(f"{what} may not be read ({code}).", hint="Check the AWS_* variables.") from error
        raise UnavailableError(f"{what}: S3 answers {code}.", hint="Try again when the server is well.") from error
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise SourceError(f"{what}: there are no S3 keys.", hint="Set AWS_ACCESS_KEY_ID and the rest.") from error
    except BotoCoreError as error:
        raise UnavailableError(f"{what}: S3 does not answer ({error}).", hint="Check endpoint and network.") from error


def _client(settings: ObjectSettings) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "max_attempts": 4},
        connect_timeout=settings.timeout,
        read_timeout=settings.timeout,
        max_pool_connections=settings.workers + 2,
    )
    endpoint = settings.endpoint_url or None
    try:
        return boto3.session.Session().client("s3", endpoint_url=endpoint, region_name=settings.region, config=config)
    except ValueError as error:
        raise ConfigError(f"objects.endpoint_url: {error}.", hint="Write it as http://host:port.") from error
