"""`linewright lineage`: what a subject word means, and the graph that starts there."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from components.audit.graph import LineageGraph
from components.audit.lineage import descent, lineage
from components.core.contracts import DatasetVersion, ManifestColumn
from components.core.errors import UnknownVersionError
from components.core.hashing import SHORTEST
from flows.wiring import Linewright

_DIGEST = 64
"""Letters of a SHA-256; a verdict's id has half as many."""


class _Lookup:
    """The data registry as lineage asks for it."""

    def __init__(self, app: Linewright) -> None:
        self._registry = app.registry

    def dataset(self, line: str, number: int) -> DatasetVersion:
        return self._registry.get(line, number)

    def newest(self, line: str) -> DatasetVersion | None:
        return self._registry.latest(line)

    def samples(self, line: str, number: int) -> Iterable[Mapping[str, Any]]:
        manifest = self._registry.manifest(self._registry.get(line, number))
        shown = manifest.drop(columns=ManifestColumn.FINGERPRINT)
        names = [str(name) for name in shown.columns]
        return (dict(zip(names, row, strict=True)) for row in shown.itertuples(index=False, name=None))


def trace(app: Linewright, name: str, subject: str) -> LineageGraph:
    """From the subject back to source files: a model version (`3`, `v3`), a verdict's id, or nothing for the champion.

    The other way, to models and verdicts: a dataset version (`data/2`), or the SHA-256 of a sample or stored file. Of
    ids and digests the beginning does, where it is the only one.

    Raises:
        UnknownVersionError: The subject names nothing of this line.
    """
    lookup = _Lookup(app)
    number = subject.removeprefix("v")
    if not subject or (number.isdecimal() and len(number) < SHORTEST):
        return lineage(app.records, lookup, name, version=int(number) if subject else None)
    dataset = subject.removeprefix("data/").removeprefix("v")
    if subject.startswith("data/") and dataset.isdecimal():
        return descent(app.records, lookup, name, dataset=int(dataset))
    try:
        return lineage(app.records, lookup, name, verdict=subject)
    except UnknownVersionError:
        if len(subject) < SHORTEST:
            raise
        with suppress(UnknownVersionError):
            return descent(app.records, lookup, name, sample=subject)
        with suppress(UnknownVersionError):
            return descent(app.records, lookup, name, file=subject)
        if len(subject) < _DIGEST:
            raise
    raise UnknownVersionError(f"Line {name!r} has no sample or file {subject!r}.", hint="Give its SHA-256.")
