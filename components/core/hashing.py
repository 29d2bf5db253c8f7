"""SHA-256 of bytes, files, folders and JSON values; the one place that fixes how they are written."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SHORTEST = 8
"""Characters of a hexadecimal name that may stand for the whole, where no other begins with them."""

_BLOCK = 1 << 20


def means(wanted: str, name: str) -> bool:
    """Whether `wanted` is the hexadecimal `name`, or enough of its beginning to stand for it.

    >>> means("e3b0c442", "e3b0c44298fc"), means("e3b0", "e3b0c44298fc")
    (True, False)
    """
    return wanted == name or (len(wanted) >= SHORTEST and name.startswith(wanted))


def sha256_bytes(data: bytes | memoryview) -> str:
    """Hex SHA-256 of `data`.

    >>> sha256_bytes(b"")[:12]
    'e3b0c44298fc'
    """
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of the file's content, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def folder_hashes(root: Path) -> dict[str, str]:
    """POSIX path relative to `root` → hex SHA-256 of every regular file below it, sorted by path.

    Raises:
        ValueError: A symbolic link lies below `root`; links could lead outside it.
    """
    found: dict[str, str] = {}
    for path in sorted(root.rglob("*")):
        if path.is_symlink():
            raise ValueError(f"{path} is a symbolic link")
        if path.is_file():
            found[path.relative_to(root).as_posix()] = sha256_file(path)
    return found


def canonical_json(value: Any) -> str:
    """`value` as JSON with sorted keys and no spaces, so that equal values have equal text.

    >>> canonical_json({"b": 1, "a": [True, None]})
    '{"a":[true,null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_json(value: Mapping[str, Any] | list[Any]) -> str:
    """Hex SHA-256 of the canonical JSON of `value`."""
    return sha256_bytes(canonical_json(value).encode())
