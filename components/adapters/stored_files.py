"""Files of a dataset version, checked at every reading and mended from the remote."""

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from components.adapters.dvc_repository import DvcRepository
from components.core.contracts import DatasetVersion
from components.core.contracts import ManifestColumn as Col
from components.core.errors import IntegrityError
from components.core.hashing import sha256_bytes


class StoredFiles:
    """Reads stored files of one version, each checked against its name.

    Args:
        folder: Where they lie.
        version: The dataset version.
        dvc: Where they are fetched from if they are missing or damaged.
        tracked: Gives the text of the folder's `.dvc` file at this version.
        manifest: Gives the manifest, to name a lost file's path in the source.
    """

    def __init__(
        self,
        folder: Path,
        version: DatasetVersion,
        dvc: DvcRepository,
        *,
        tracked: Callable[[], bytes],
        manifest: Callable[[DatasetVersion], pd.DataFrame],
    ) -> None:
        self._folder, self._version, self._dvc = folder, version, dvc
        self._tracked, self._manifest = tracked, manifest

    def read(self, name: str) -> bytes:
        """Content of the file of that SHA-256.

        Raises:
            IntegrityError: It is damaged or missing, here and at the remote.
            UnavailableError: It is damaged or missing here, and the remote does not answer.
        """
        path = self._folder / name[:2] / name
        try:
            data = path.read_bytes()
        except OSError:
            data = b""
        return data if sha256_bytes(data) == name else self._mend(name, path)

    def _mend(self, name: str, path: Path) -> bytes:
        """Fetch a file from the remote; it takes its place only if it is the right one."""
        md5 = self._dvc.objects(self._tracked().decode()).get(f"{name[:2]}/{name}")
        if md5 is None:
            raise self._lost(name, "is not among its files")
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{name}.{os.getpid()}")
        try:
            self._dvc.fetch(md5, fresh)
            data = fresh.read_bytes()
            if sha256_bytes(data) != name:
                raise self._lost(name, "is damaged, here and at the remote")
            fresh.replace(path)
        except IntegrityError as error:
            raise self._lost(name, "is missing or damaged here, and the remote has no good copy") from error
        finally:
            fresh.unlink(missing_ok=True)
        self._dvc.forget(md5)
        return data

    def _lost(self, name: str, what: str) -> IntegrityError:
        rows = self._manifest(self._version)
        holder = rows[(rows[Col.FILE] == name) | (rows[Col.MASK] == name)]
        path = holder[Col.PATH].iloc[0] if len(holder) else "unknown"
        return IntegrityError(
            f"File {name} of {self._version.tag} ({path!r} in the source) {what}.",
            hint="Restore the remote from a backup.",
        )
