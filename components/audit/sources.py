"""Where lineage is read from, as protocols: the records' database and the data registry satisfy them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from components.core.contracts import DatasetVersion, Decision, ModelVersion, Verdict
from components.core.drift_report import DriftReport


class RetrainFacts(Protocol):
    """A retrain."""

    @property
    def retrain_id(self) -> str: ...  # noqa: D102 - the names say it
    @property
    def key(self) -> str: ...  # noqa: D102
    @property
    def actor(self) -> str: ...  # noqa: D102
    @property
    def state(self) -> str: ...  # noqa: D102
    @property
    def started(self) -> datetime: ...  # noqa: D102
    @property
    def finished(self) -> datetime | None: ...  # noqa: D102


class RequestFacts(Protocol):
    """A request for a retrain."""

    @property
    def request_id(self) -> str: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102
    @property
    def drift_check(self) -> int | None: ...  # noqa: D102
    @property
    def created(self) -> datetime: ...  # noqa: D102


class DriftFacts(Protocol):
    """A stored drift check."""

    @property
    def report(self) -> DriftReport: ...  # noqa: D102
    @property
    def created(self) -> datetime: ...  # noqa: D102


class ModelReader(Protocol):
    """Finds model versions; `list` gives the newest first."""

    def get(self, line: str, version: int) -> ModelVersion: ...  # noqa: D102
    def champion(self, line: str) -> ModelVersion | None: ...  # noqa: D102
    def list(self, line: str | None = None, status: str | None = None) -> Sequence[ModelVersion]: ...  # noqa: D102


class RetrainReader(Protocol):
    """Finds retrains."""

    def get(self, retrain_id: str) -> RetrainFacts: ...  # noqa: D102


class RequestReader(Protocol):
    """Finds requests."""

    def answered_by(self, retrain_id: str) -> Sequence[RequestFacts]: ...  # noqa: D102


class DriftReader(Protocol):
    """Finds drift checks."""

    def get(self, check_id: int) -> DriftFacts: ...  # noqa: D102


class DecisionReader(Protocol):
    """Decisions on one version, oldest first."""

    def history(self, line: str, version: int | None = None) -> Sequence[Decision]: ...  # noqa: D102


class EventFacts(Protocol):
    """An event of the ledger."""

    @property
    def time(self) -> datetime: ...  # noqa: D102
    @property
    def actor(self) -> str: ...  # noqa: D102
    @property
    def data(self) -> dict[str, Any]: ...  # noqa: D102


class EventReader(Protocol):
    """Events of one kind, oldest first."""

    def events(self, line: str | None = None, *, kind: str | None = None) -> Sequence[EventFacts]: ...  # noqa: D102


class VerdictReader(Protocol):
    """Finds verdicts; many are given newest first."""

    def get(self, verdict_id: str) -> Verdict: ...  # noqa: D102
    def of_sample(self, line: str, sample: str, *, limit: int = ...) -> Sequence[Verdict]: ...  # noqa: D102
    def recent(  # noqa: D102
        self, line: str, limit: int = ..., *, model_version: int | None = ...
    ) -> Sequence[Verdict]: ...
    def counts(self, line: str, *, model_version: int) -> Mapping[str, int]: ...  # noqa: D102


class LineageRecords(Protocol):
    """Everything that lineage asks the records."""

    @property
    def models(self) -> ModelReader: ...  # noqa: D102
    @property
    def retrains(self) -> RetrainReader: ...  # noqa: D102
    @property
    def requests(self) -> RequestReader: ...  # noqa: D102
    @property
    def drift(self) -> DriftReader: ...  # noqa: D102
    @property
    def decisions(self) -> DecisionReader: ...  # noqa: D102
    @property
    def verdicts(self) -> VerdictReader: ...  # noqa: D102
    @property
    def ledger(self) -> EventReader: ...  # noqa: D102


class DatasetLookup(Protocol):
    """What the data registry knows."""

    def dataset(self, line: str, number: int) -> DatasetVersion:
        """One dataset version; UnknownVersionError if there is none."""
        ...

    def newest(self, line: str) -> DatasetVersion | None:
        """The newest dataset version."""
        ...

    def samples(self, line: str, number: int) -> Iterable[Mapping[str, Any]]:
        """The rows of a version's manifest, keyed by the names in `ManifestColumn`."""
        ...
