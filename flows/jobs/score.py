"""The score job: the champion's verdicts on files, stored, with heat maps for images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.adapters.folders import files_below
from components.core.contracts import Modality, ModelVersion, TableSchema, Verdict
from components.core.errors import NotEnoughDataError, SourceError
from components.core.hashing import sha256_bytes
from components.core.lines import LineConfig
from components.core.ports import Detector, Image
from components.core.scoring import join
from components.core.wording import listed
from components.explain.overlays import anchored_scale, overlay
from components.explain.pictures import save_image
from components.ingest.layout import hidden, is_mask
from components.metrics.conformal import fewest_discoveries
from components.models.parallel import each
from components.samples.constants import constants_in
from components.samples.images import IMAGE_SUFFIXES, decode_image
from components.samples.tables import TABLE_SUFFIXES, read_table, readings
from components.samples.unusable import UnusableSample
from components.samples.windows import cut, window_names, window_starts
from components.serve.verdicts import flagged, many_above, verdicts
from flows.jobs.models import as_trained, champion_of, load_model
from flows.progress import report
from flows.wiring import Linewright

IMAGES_AT_ONCE = 8
WINDOWS_AT_ONCE = 4096


@dataclass(frozen=True, kw_only=True)
class ScoreRun:
    """Verdicts of one call in the order of the files; `refused` says `path: why` of files without one.

    `overlays` is the folder of heat maps, None for tables. `flagged` are the ids of verdicts that stand out of the
    batch at the false-discovery rate that was asked for, which takes `fewest` of them or more; None where none was.
    `many` says so where far more lie above the threshold than of normal samples would, `changed` where a column that no
    detector looks at, because it was constant, holds something else. `others` are files of other kinds below the
    folders that were named.
    """

    verdicts: tuple[Verdict, ...]
    refused: tuple[str, ...]
    model_version: int
    overlays: Path | None
    flagged: frozenset[str] | None = None
    fewest: int = 0
    many: str = ""
    changed: str = ""
    others: tuple[str, ...] = ()

    def raise_if_refused(self) -> None:
        """Raise SourceError if a file could not be scored; the verdicts of the others are stored all the same."""
        if self.refused:
            hint = "The others have their verdicts." if self.verdicts else "No file has a verdict."
            first, count = self.refused[0].rstrip("."), len(self.refused)
            raise SourceError(f"Not scored: {first}." if count == 1 else f"{count} files were not scored.", hint=hint)


def score_paths(app: Linewright, line: LineConfig, *, paths: Sequence[Path], fdr: float | None = None) -> ScoreRun:
    """Score every image or table below `paths`, and store the verdicts; `fdr` flags those that stand out as a batch.

    Raises:
        NotEnoughDataError: The line has no champion, or its calibration samples cannot support `fdr`.
        ConfigError: `fdr` is not in (0, 1).
        SourceError: There is no file to score.
        IntegrityError: The champion is not what was registered.
    """
    champion = champion_of(app, line.name)
    line = as_trained(app, line, champion)
    if fdr is not None:
        fewest_discoveries(0, rate=fdr, samples=champion.calibration.samples)  # refused before anything is scored
    image = line.modality is Modality.IMAGE
    files, others = find_files(paths, modality=line.modality)
    detector = load_model(app, champion)
    scorer = _ImageScorer if image else _TableScorer
    run = scorer(app, line, champion, detector).score(files)
    run = replace(run, many=many_above(run.verdicts, champion.calibration), others=tuple(map(str, others)))
    app.records.verdicts.add(run.verdicts)
    if fdr is None:
        return run
    chosen, fewest = flagged(run.verdicts, champion.calibration, rate=fdr)
    return replace(run, flagged=chosen, fewest=fewest)


def find_files(paths: Sequence[Path], *, modality: Modality) -> tuple[list[Path], list[Path]]:
    """Absolute paths of every file of this kind at or below `paths`, each once, in order, and of files of other kinds.

    Hidden files and ground truth below a folder are no samples, as in a line's source; those that are named are.

    Raises:
        SourceError: A path does not exist, a folder may not be read or is a link that leads elsewhere, or there is no
            such file.
    """
    image = modality is Modality.IMAGE
    suffixes = IMAGE_SUFFIXES if image else TABLE_SUFFIXES
    found: dict[Path, None] = {}
    others: dict[Path, None] = {}
    for given in paths:
        path = given.absolute()  # a verdict names its file for good, whatever the current folder is then
        if not path.exists():
            raise SourceError(f"{given} does not exist.", hint="Name files or folders to score.")
        for item in sorted(files_below(path)) if path.is_dir() else [path]:
            key = item.relative_to(path).as_posix()
            if item != path and (hidden(key) or (image and is_mask(key))):
                continue
            # A broken link is read, too, so that it is named as one that cannot be.
            if item == path or (item.suffix.lower() in suffixes and (item.is_file() or item.is_symlink())):
                found[item] = None
            else:
                others[item] = None
    if not found:
        kinds = ", ".join(sorted(suffixes))
        raise SourceError(f"There is nothing to score in {', '.join(map(str, paths))}.", hint=f"It takes {kinds}.")
    return list(found), list(others)


@dataclass(frozen=True)
class _Scorer:
    app: Linewright
    line: LineConfig
    champion: ModelVersion
    detector: Detector


class _ImageScorer(_Scorer):
    """Scores images batch by batch and draws what each score comes from."""

    def score(self, files: list[Path]) -> ScoreRun:
        folder = self.app.settings.overlays / self.line.name
        folder.mkdir(parents=True, exist_ok=True)
        refused: list[str] = []
        found: list[Verdict] = []
        for start in range(0, len(files), IMAGES_AT_ONCE):
            some = list(self._readable(files[start : start + IMAGES_AT_ONCE], refused))
            if some:
                found += self._batch(some, folder)
            report("scoring", min(start + IMAGES_AT_ONCE, len(files)), len(files))
        return ScoreRun(
            verdicts=tuple(found), refused=tuple(refused), model_version=self.champion.version, overlays=folder
        )

    def _readable(self, files: list[Path], refused: list[str]) -> Iterator[tuple[Path, str, Image]]:
        for found in each(self._read, files):
            if isinstance(found, str):
                refused.append(found)
            else:
                yield found

    def _read(self, path: Path) -> tuple[Path, str, Image] | str:
        """The image with its name, or `path: why` there is none."""
        try:
            data = path.read_bytes()
            return path, sha256_bytes(data), decode_image(data, self.line.image)
        except UnusableSample as error:
            return f"{path}: {error.detail}"
        except OSError as error:
            return f"{path}: {error.strerror}"

    def _batch(self, some: list[tuple[Path, str, Image]], folder: Path) -> list[Verdict]:
        images = [image for _, _, image in some]
        scores = self.detector.score(images)
        found = verdicts(
            line=self.line.name,
            model_version=self.champion.version,
            calibration=self.champion.calibration,
            samples=[sample for _, sample, _ in some],
            paths=[str(path) for path, _, _ in some],
            scores=scores,
        )
        maps = self.detector.explain(images) if scores.maps is None else scores.maps
        shown = {verdict.sample: (image, heat) for verdict, image, heat in zip(found, images, maps, strict=True)}
        # Of a megapixel a picture takes a processor a quarter of a second, drawn and packed.
        drawn = each(lambda sample: self._drawn(sample, *shown[sample], folder), list(shown))
        pictures = dict(zip(shown, drawn, strict=True))
        return [verdict.model_copy(update={"overlay": pictures[verdict.sample]}) for verdict in found]

    def _drawn(self, sample: str, image: Image, heat: NDArray[np.float32], folder: Path) -> str:
        """Where the picture of the sample is, from the workspace."""
        # Its own median, as `linewright explain` takes it: a picture must not depend on the images beside it.
        scale = anchored_scale(self.champion.calibration.threshold, background=float(np.median(heat)))
        path = folder / f"{sample[:16]}-v{self.champion.version}.png"
        save_image(overlay(image, heat, low=scale.low, high=scale.high, outline=scale.threshold), path)
        return path.relative_to(self.app.home).as_posix()


class _TableScorer(_Scorer):
    """Scores every window of every file."""

    def score(self, files: list[Path]) -> ScoreRun:
        version = self.app.registry.get(self.line.name, self.champion.dataset)
        if version.table is None:
            raise NotEnoughDataError(f"{version.tag} has no table schema.", hint="Ingest and retrain the line again.")
        refused: list[str] = []
        found: list[Verdict] = []
        changed: dict[str, str] = {}
        for number, path in enumerate(files):
            try:
                found += self._file(path, version.table, changed)
            except UnusableSample as error:
                refused.append(f"{path}: {error.detail}")
            except OSError as error:
                refused.append(f"{path}: {error.strerror}")
            report("scoring", number + 1, len(files))
        return ScoreRun(
            verdicts=tuple(found),
            refused=tuple(refused),
            model_version=self.champion.version,
            overlays=None,
            changed=_changed(changed),
        )

    def _file(self, path: Path, schema: TableSchema, changed: dict[str, str]) -> list[Verdict]:
        frame = read_table(path.read_bytes())
        for name, held in constants_in(frame, schema.constants).items():
            if others := [value for value in held if value != schema.constants[name]]:
                changed.setdefault(name, f"{name} ({schema.constants[name]} before, {listed(others)} in {path.name})")
        values = readings(frame, schema)
        bounds = window_starts(frame, schema, group=self.line.table.group)
        parts, names = [], []
        for start in range(0, len(bounds), WINDOWS_AT_ONCE):
            windows = cut(values, bounds[start : start + WINDOWS_AT_ONCE], window=schema.window)
            parts.append(self.detector.score(windows))
            names += window_names(windows)
        return verdicts(
            line=self.line.name,
            model_version=self.champion.version,
            calibration=self.champion.calibration,
            samples=names,
            paths=[str(path)] * len(bounds),
            scores=join(parts),
            bounds=bounds,
        )


def _changed(columns: Mapping[str, str]) -> str:
    """That these columns, by name what is to be said of each, are not looked at; "" for none."""
    if not columns:
        return ""
    return (
        f"not looked at, since constant in the line's first version: {listed(list(columns.values()))}; another line,"
        " added with what there is now, would"
    )
