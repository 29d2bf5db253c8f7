"""From a verdict to model, retrain, trial, dataset, sample, stored file and source path; and all the way back."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from components.audit.graph import GraphBuilder, LineageGraph
from components.audit.sources import DatasetLookup, LineageRecords
from components.core.contracts import ManifestColumn as Col
from components.core.contracts import ModelVersion, Split, Verdict
from components.core.errors import ConfigError, UnknownVersionError
from components.core.hashing import means

NEWEST = 1_000
"""Verdicts of a model that one graph names by default; the model's facts count all of them."""


def lineage(
    records: LineageRecords,
    registry_lookup: DatasetLookup,
    line: str,
    *,
    version: int | None = None,
    verdict: str | None = None,
) -> LineageGraph:
    """What a verdict or a model version came from, down to every sample that it was fitted on.

    Without either: the champion, else the newest version.

    Args:
        records: Our records.
        registry_lookup: The data registry.
        line: Its name.
        version: Model version.
        verdict: Verdict id; its sample is followed to its source file.

    Raises:
        UnknownVersionError: There is no such version or verdict on this line, or no version at all.
    """
    graph = GraphBuilder()
    if verdict is None:
        model = _model(records, line=line, version=version)
        _grow_model(graph, records, registry_lookup, model, after="")
        return graph.build()
    found = records.verdicts.get(verdict)
    if found.line != line or version not in {None, found.model_version}:
        raise UnknownVersionError(
            f"Verdict {verdict!r} is of version {found.model_version} of line {found.line!r}.", hint="Ask for that."
        )
    root = graph.node("verdict", found.verdict_id, facts=_verdict_facts(found))
    newest = registry_lookup.newest(line)
    rows = registry_lookup.samples(line, newest.number) if newest else ()
    row = next((row for row in rows if row[Col.SAMPLE] == found.sample), None)
    if row is None:
        facts = {"dataset": "in no dataset version"}
        sample = graph.node("sample", found.sample, facts=facts, after=root, relation="judges")
        graph.node("source", found.path, facts={}, after=sample, relation="was read from")
    else:
        _grow_sample(graph, row, after=root, relation="judges")
    model = records.models.get(line, found.model_version)
    _grow_model(graph, records, registry_lookup, model, after=root)
    return graph.build()


def descent(
    records: LineageRecords,
    registry_lookup: DatasetLookup,
    line: str,
    *,
    dataset: int | None = None,
    sample: str | None = None,
    file: str | None = None,
    most: int = NEWEST,
) -> LineageGraph:
    """What came of a dataset version, a sample or a stored file: models that saw it, and verdicts.

    Args:
        records: Our records.
        registry_lookup: The data registry.
        line: Its name.
        dataset: Dataset version; its models and their verdicts.
        sample: SHA-256 of a sample, or its beginning; the verdicts on it, and the models whose data held it.
        file: SHA-256 of a stored file, or its beginning; every sample of it.
        most: Verdicts named of each model or sample, the newest; a dataset's models count all of theirs in their facts.

    Raises:
        ConfigError: Not exactly one of the three is given.
        UnknownVersionError: The line has no such dataset version, sample or file.
    """
    if [dataset, sample, file].count(None) != 2:
        raise ConfigError("Ask for one of a dataset version, a sample and a file.", hint="Give exactly one.")
    graph = GraphBuilder()
    if dataset is not None:
        root = _dataset_node(graph, registry_lookup, line=line, number=dataset, after="")
        for model in _trained_on(records, line=line, first=dataset, last=dataset):
            _grow_use(graph, records, model, after=root, relation="trained", most=most)
        return graph.build()
    rows = list(_rows_of(registry_lookup, line=line, sample=sample, file=file))
    root = graph.node("file", rows[0][Col.FILE], facts=_file_facts(rows[0])) if file is not None else ""
    for row in rows:
        one = graph.node("sample", row[Col.SAMPLE], facts=_sample_facts(row), after=root, relation="holds")
        for verdict in records.verdicts.of_sample(line, row[Col.SAMPLE], limit=most):
            facts = _verdict_facts(verdict)
            graph.node("verdict", verdict.verdict_id, facts=facts, after=one, relation="was judged by")
        for model in _trained_on(records, line=line, first=int(row[Col.ADDED_IN]), last=None):
            graph.node("model", _name(model), facts=_model_facts(model), after=one, relation=f"was {row[Col.SPLIT]} of")
    return graph.build()


def _model(records: LineageRecords, *, line: str, version: int | None) -> ModelVersion:
    if version is not None:
        return records.models.get(line, version)
    model = records.models.champion(line) or next(iter(records.models.list(line)), None)
    if model is None:
        raise UnknownVersionError(f"Line {line!r} has no model version.", hint=f"Make one: linewright retrain {line}")
    return model


def _grow_model(
    graph: GraphBuilder,
    records: LineageRecords,
    lookup: DatasetLookup,
    model: ModelVersion,
    *,
    after: str,
) -> None:
    facts = {**_model_facts(model), "verdicts": dict(records.verdicts.counts(model.line, model_version=model.version))}
    node = graph.node("model", _name(model), facts=facts, after=after, relation="was given by")
    for number, decision in enumerate(records.decisions.history(model.line, model.version), start=1):
        graph.node(
            "decision",
            f"{_name(model)}#{number}",
            facts=decision.model_dump(mode="json", exclude={"line", "version"}),
            after=node,
            relation="was decided by",
        )
    _grow_exports(graph, records, model, after=node)
    retrain = _grow_retrain(graph, records, model, after=node)
    best = model.search.best
    trial = graph.node(
        "trial",
        f"{model.search.study}/{best.number}",
        facts=best.model_dump(mode="json", exclude={"number"}),
        after=retrain,
        relation="chose",
    )
    data = _dataset_node(graph, lookup, line=model.line, number=model.dataset, after=trial)
    # Calibrated across folds, it is fitted on the calibration samples, too.
    seen = {Split.TRAIN, Split.CALIBRATION} if model.calibration.method == "cross" else {Split.TRAIN}
    for row in lookup.samples(model.line, model.dataset):
        if row[Col.SPLIT] in seen:
            _grow_sample(graph, row, after=data, relation="trains with")


def _grow_exports(graph: GraphBuilder, records: LineageRecords, model: ModelVersion, *, after: str) -> None:
    """What of the model went to machines without Linewright, by the SHA-256 of its description."""
    for event in records.ledger.events(model.line, kind="model exported"):
        if event.data["version"] == model.version:
            names = ("format", "folder", "threshold", "status", "approved_by", "figures")
            facts = {name: event.data[name] for name in names if name in event.data}
            facts |= {"actor": event.actor, "time": event.time.isoformat()}
            graph.node("export", event.data["sha256"], facts=facts, after=after, relation="left as")


def _grow_retrain(graph: GraphBuilder, records: LineageRecords, model: ModelVersion, *, after: str) -> str:
    found = records.retrains.get(model.retrain)
    facts: dict[str, Any] = {
        "key": found.key,
        "actor": found.actor,
        "state": found.state,
        "started": found.started.isoformat(),
    }
    facts |= {"finished": found.finished.isoformat() if found.finished else None, "seed": model.seed}
    facts |= {"mlflow_run": model.mlflow_run, "code": model.code}
    node = graph.node("retrain", found.retrain_id, facts=facts, after=after, relation="was made by")
    for request in records.requests.answered_by(found.retrain_id):
        why = {"reason": request.reason, "created": request.created.isoformat()}
        asked = graph.node("request", request.request_id, facts=why, after=node, relation="answered")
        if request.drift_check is not None:
            _grow_drift(graph, records, request.drift_check, after=asked)
    return node


def _grow_drift(graph: GraphBuilder, records: LineageRecords, check_id: int, *, after: str) -> None:
    check = records.drift.get(check_id)
    facts = check.report.model_dump(mode="json", include={"verdict", "kind", "reference", "current", "detail"})
    facts["created"] = check.created.isoformat()
    graph.node("drift", str(check_id), facts=facts, after=after, relation="was raised by")


def _dataset_node(graph: GraphBuilder, lookup: DatasetLookup, *, line: str, number: int, after: str) -> str:
    version = lookup.dataset(line, number)
    facts = version.model_dump(mode="json", include={"revision", "manifest_sha256", "created", "counts", "quarantined"})
    return graph.node("dataset", version.tag, facts=facts, after=after, relation="was fitted to")


def _grow_sample(graph: GraphBuilder, row: Mapping[str, Any], *, after: str, relation: str) -> None:
    sample = graph.node("sample", row[Col.SAMPLE], facts=_sample_facts(row), after=after, relation=relation)
    file = graph.node("file", row[Col.FILE], facts={}, after=sample, relation="lies in")
    graph.node("source", row[Col.PATH], facts={}, after=file, relation="was read from")


def _grow_use(
    graph: GraphBuilder, records: LineageRecords, model: ModelVersion, *, after: str, relation: str, most: int
) -> None:
    counts = dict(records.verdicts.counts(model.line, model_version=model.version))
    facts = {**_model_facts(model), "verdicts": counts}
    node = graph.node("model", _name(model), facts=facts, after=after, relation=relation)
    for verdict in records.verdicts.recent(model.line, most, model_version=model.version):
        graph.node("verdict", verdict.verdict_id, facts=_verdict_facts(verdict), after=node, relation="gave")


def _trained_on(records: LineageRecords, *, line: str, first: int, last: int | None) -> Iterator[ModelVersion]:
    """Models whose dataset number lies in the range: later versions hold the samples of all earlier ones."""
    for model in records.models.list(line):
        if first <= model.dataset and (last is None or model.dataset <= last):
            yield model


def _rows_of(lookup: DatasetLookup, *, line: str, sample: str | None, file: str | None) -> Iterable[Mapping[str, Any]]:
    newest = lookup.newest(line)
    column, wanted = (Col.SAMPLE, sample) if sample is not None else (Col.FILE, file or "")
    rows = lookup.samples(line, newest.number) if newest else ()
    found = [row for row in rows if means(wanted, row[column])]
    if not found:
        raise UnknownVersionError(f"Line {line!r} has no {column} {wanted!r}.", hint="Give its SHA-256.")
    if len({row[column] for row in found}) > 1:
        raise UnknownVersionError(f"More than one {column} of line {line!r} begins with {wanted!r}.", hint="Give more.")
    return found


def _name(model: ModelVersion) -> str:
    return f"{model.line}/{model.version}"


def _model_facts(model: ModelVersion) -> dict[str, Any]:
    names = {"status", "created", "trainer", "detector", "params", "files"}
    facts = {**model.model_dump(mode="json", include=names), "dataset": f"{model.line}/v{model.dataset}"}
    return {**facts, "checks": {check.name: check.status for check in model.checks}} if model.checks else facts


def _verdict_facts(verdict: Verdict) -> dict[str, Any]:
    return verdict.model_dump(mode="json", exclude={"verdict_id", "line", "overlay"}, exclude_none=True)


def _sample_facts(row: Mapping[str, Any]) -> dict[str, Any]:
    # Numbers of a table library are not JSON's.
    facts: dict[str, Any] = {name: int(row[name]) for name in (Col.START, Col.END, Col.ADDED_IN)}
    facts |= {name: str(row[name]) for name in (Col.SPLIT, Col.GROUP)}
    # The labels of a sealed split are for the final evaluation alone.
    return facts if row[Col.SEALED] else {**facts, Col.LABEL: str(row[Col.LABEL]), Col.DEFECT: str(row[Col.DEFECT])}


def _file_facts(row: Mapping[str, Any]) -> dict[str, Any]:
    return {Col.PATH: row[Col.PATH]}
