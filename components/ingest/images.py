"""Image files of a source become manifest rows."""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import pandas as pd

from components.core.contracts import Label, Split
from components.core.contracts import ManifestColumn as Col
from components.core.errors import ConfigError, SourceError
from components.core.lines import ImageOptions, LineConfig
from components.core.names import as_utf8
from components.core.ports import Progress
from components.ingest.collected import Collected, Tally
from components.ingest.fetch import in_parallel
from components.ingest.labels_file import read_labels
from components.ingest.layout import Layout, Place
from components.ingest.staging import Staging
from components.samples.fingerprint import fingerprint
from components.samples.images import decode_image, decode_mask, is_deep_image
from components.samples.manifest import manifest_rows
from components.samples.unusable import UnusableSample

_READ = "PNG, JPEG, BMP and TIFF files are read."


@dataclass(frozen=True, kw_only=True)
class _Examined:
    """One image file after it was fetched and decoded; `file` is None where its content was known before.

    `brightest` of its 8-bit values; `deep` where these come from 16 bits.
    """

    key: str
    sha: str = ""
    file: Path | None = None
    fingerprint: bytes = b""
    deep: bool = False
    brightest: int = 0
    mask: str = ""
    mask_file: Path | None = None
    reason: str = ""
    detail: str = ""
    mask_reason: str = ""
    mask_detail: str = ""


def collect_images(
    line: LineConfig,
    *,
    keys: Sequence[str],
    staging: Staging,
    known: pd.DataFrame,
    quarantined: Collection[str],
    workers: int,
    progress: Progress,
) -> tuple[Collected, Tally]:
    """New images of `keys`, each examined once; `known` are the manifest's rows.

    Raises:
        SourceError: No file is an image, or the labels file cannot be used.
        UnavailableError: The store does not answer.
    """
    layout = Layout(keys)
    if not layout.images:
        raise SourceError(f"{line.source!r} holds no images.", hint=_READ)
    tally = Tally(before=quarantined, skipped=layout.skipped)
    places = _places(line, layout, keys, staging, tally)
    stored = {*known[Col.FILE], *known[Col.MASK]}
    examine = _Examiner(line.image, layout, staging, stored)
    examined = in_parallel(examine, layout.images, workers=workers, progress=progress, what="reading images")
    rows, files = _Sorter(places, known, quarantined, tally, white_level=line.image.white_level).sort(examined)
    return (
        Collected(
            rows=rows, files=files, quarantined=tally.all, found=len(layout.images), duplicates=tally.duplicates,
            skipped=tally.skipped, notices=tuple(tally.notices),
        ),
        tally,
    )  # fmt: skip


def _places(line: LineConfig, layout: Layout, keys: Sequence[str], staging: Staging, tally: Tally) -> dict[str, Place]:
    places = {key: layout.place(key) for key in layout.images}
    options = line.image
    labels_key = options.labels_file or layout.labels_file
    if labels_key:
        if labels_key not in keys:
            raise SourceError(f"Labels file {labels_key!r} is not in {line.source!r}.", hint="Check image.labels_file.")
        _, file = staging.get(labels_key)
        given, missing = read_labels(file.read_bytes() if file else b"", key=labels_key, images=layout.images)
        places |= given
        others = {PurePosixPath(key).name for key in keys} - {PurePosixPath(key).name for key in layout.images}
        for path in missing:
            if PurePosixPath(path.replace("\\", "/")).name in others:
                tally.no_content(path, reason="not-an-image", detail=f"{labels_key} names it, but only {_READ}")
            else:
                tally.no_content(path, reason="missing-file", detail=f"{labels_key} names it, but it is not there.")
    if options.group_pattern:
        places = {key: _grouped(key, place, options.group_pattern) for key, place in places.items()}
    return places


def _grouped(key: str, place: Place, pattern: str) -> Place:
    try:
        found = re.search(pattern, key)
        group = found.group(1) if found else ""
    except (re.error, IndexError) as error:
        raise ConfigError(
            f"image.group_pattern {pattern!r}: {error}.", hint="It needs one group: part(\\d+)_"
        ) from error
    return replace(place, group=place.group or group or "")


class _Examiner:
    """Fetches, decodes and fingerprints one image and its mask; runs in several threads."""

    def __init__(self, options: ImageOptions, layout: Layout, staging: Staging, stored: Collection[str]) -> None:
        self._options, self._layout, self._staging, self._stored = options, layout, staging, stored

    def __call__(self, key: str) -> _Examined:
        try:
            sha, file = self._staging.get(key)
        except SourceError as error:
            return _Examined(key=key, reason="unreadable", detail=error.message)
        if file is None:
            return _Examined(key=key, sha=sha)
        try:
            data = file.read_bytes()
            image = decode_image(data, self._options)
        except UnusableSample as refused:
            return _Examined(key=key, sha=sha, file=file, reason=refused.reason, detail=refused.detail)
        found = _Examined(
            key=key, sha=sha, file=file, fingerprint=fingerprint(image), deep=is_deep_image(data),
            brightest=int(image.max()),
        )  # fmt: skip
        mask_key = self._layout.mask(key)
        if not mask_key:
            return found
        try:
            mask, mask_file = self._mask(mask_key, image.shape[:2])
        except UnusableSample as refused:
            return replace(found, mask=mask_key, mask_reason=f"mask-{refused.reason}", mask_detail=refused.detail)
        return replace(found, mask=mask, mask_file=mask_file)

    def _mask(self, key: str, shape: tuple[int, ...]) -> tuple[str, Path | None]:
        try:
            sha, file = self._staging.get(key)
        except SourceError as error:
            raise UnusableSample("unreadable", error.message) from error
        if file is None and sha not in self._stored:
            raise UnusableSample("refused", "A file with this content was refused before.")
        if file is not None:
            mask = decode_mask(file.read_bytes(), self._options)
            if mask.shape != shape:
                raise UnusableSample("shape", f"The mask is {mask.shape}, its image {shape} (rows, columns).")
        return sha, file


def _bits(brightest: int) -> int:
    """Of the camera whose values, in 16 bits, were scaled down to at most `brightest` of 255."""
    return next((bits for bits in (10, 12, 14) if round((2**bits - 1) * 255 / 65535) >= brightest), 16)


class _Sorter:
    """Decides which examined files are new samples, which are known, and which contradict one another."""

    def __init__(
        self,
        places: dict[str, Place],
        known: pd.DataFrame,
        quarantined: Collection[str],
        tally: Tally,
        *,
        white_level: int,
    ) -> None:
        self._places, self._quarantined, self._tally, self._white_level = places, quarantined, tally, white_level
        self._labels = dict(zip(known[Col.SAMPLE], known[Col.LABEL], strict=True))

    def sort(self, examined: Iterable[_Examined]) -> tuple[pd.DataFrame, dict[str, Path]]:
        by_content: dict[str, list[_Examined]] = {}
        for one in examined:
            if not one.sha:
                self._tally.no_content(one.key, reason=one.reason, detail=one.detail)
            else:
                by_content.setdefault(one.sha, []).append(one)
        chosen = [item for same in by_content.values() if (item := self._judge(same))]
        self._notice(chosen)
        files = {item.sha: item.file for item in chosen if item.file}
        files |= {item.mask: item.mask_file for item in chosen if item.mask_file}
        return self._rows(chosen), files

    def _notice(self, chosen: Sequence[_Examined]) -> None:
        assumed = sum(self._places[item.key].label_source == "assumed" for item in chosen)
        if assumed:
            self._tally.notices.append(
                f"Neither a folder nor a labels file says what {assumed} of {len(chosen)} new images are: they count as"
                " normal."
            )
        deep = [item.brightest for item in chosen if item.deep]
        bits = _bits(max(deep)) if deep and not self._white_level else 16
        if bits < 16:
            self._tally.notices.append(
                f"{len(deep)} new images in 16 bits seem to be of {bits}, of which {max(deep) + 1} grey levels are"
                f" left: image.white_level: {2**bits - 1} in the line's file keeps 256."
            )

    def _judge(self, same: list[_Examined]) -> _Examined | None:
        """The one of several files with one content that becomes a sample, or None."""
        first = min(same, key=lambda item: self._rank(item.key))
        if first.sha in self._labels:
            self._known(same)
            return None
        self._tally.duplicates += len(same) - 1
        if first.sha in self._quarantined:
            self._tally.skipped += 1
            return None
        problem = self._places[first.key].problem
        clear = {place.label for item in same if (place := self._places[item.key]).label_source != "assumed"}
        if first.reason:
            self._tally.refuse(first.key, sha=first.sha, reason=first.reason, detail=first.detail)
        elif len(clear) > 1:
            paths = " and ".join(sorted(item.key for item in same)[:3])
            self._tally.refuse(
                first.key,
                sha=first.sha,
                reason="contradicting-labels",
                detail=f"{paths} are one image, labelled twice.",
            )
        elif problem:
            self._tally.refuse(first.key, sha=first.sha, reason="unlabelled", detail=problem)
        else:
            if first.mask_reason:
                self._tally.note(first.mask, sha=first.sha, reason=first.mask_reason, detail=first.mask_detail)
            return first
        return None

    def _known(self, same: list[_Examined]) -> None:
        for item in same:
            place, label = self._places[item.key], self._labels[item.sha]
            if place.label_source == "assumed" or place.label == label:
                self._tally.duplicates += 1
            elif item.sha in self._quarantined:
                self._tally.skipped += 1
            else:
                detail = f"It is {place.label} here, but the line knows this image as {label}."
                self._tally.note(item.key, sha=item.sha, reason="contradicting-labels", detail=detail)

    def _rank(self, key: str) -> tuple[bool, bool, str]:
        """What is sealed goes first, then what is labelled, then by name: the order of the files decides nothing."""
        place = self._places[key]
        return place.split is not Split.TEST, place.label_source == "assumed", key

    def _rows(self, chosen: list[_Examined]) -> pd.DataFrame:
        places = [self._places[item.key] for item in chosen]
        return manifest_rows({
            Col.SAMPLE: [item.sha for item in chosen],
            Col.FILE: [item.sha for item in chosen],
            Col.PATH: [as_utf8(item.key) for item in chosen],
            Col.LABEL: [str(place.label) for place in places],
            Col.LABEL_SOURCE: [place.label_source for place in places],
            Col.DEFECT: [place.defect for place in places],
            Col.MASK: [
                item.mask if place.label is Label.ANOMALOUS and not item.mask_reason else ""
                for item, place in zip(chosen, places, strict=True)
            ],
            Col.GROUP: [place.group for place in places],
            Col.SPLIT: [str(place.split or "") for place in places],
            Col.SEALED: [place.split is Split.TEST for place in places],
            Col.FINGERPRINT: [item.fingerprint for item in chosen],
        })  # fmt: skip
