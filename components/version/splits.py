"""Leak-safe splits: what belongs together stays in one split, and no old sample ever moves.

A unit is what must not be divided: a declared group, the windows of one time block, or near-duplicate images; else one
sample. A unit with an old or sealed sample joins that sample's split. The others are taken in the order of a hash, each
for the split that lacks most of its share, so that the order of the files decides nothing.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.core.contracts import Label, Modality, Quarantined, Split, TableSchema
from components.core.contracts import ManifestColumn as Col
from components.core.lines import LineConfig
from components.samples.manifest import manifest_rows
from components.version.blocks import blocked, name_blocks, purge
from components.version.duplicates import clusters, near_pairs
from components.version.shares import ANOMALOUS_IMAGES, ANOMALOUS_TABLES, Shelf, anomalous_shares, normal_shares

# Which of several splits given by the source wins in one unit: what is sealed stays sealed.
_RANK = (Split.TEST, Split.VALIDATION, Split.CALIBRATION, Split.TRAIN)


def assign_splits(
    rows: pd.DataFrame,
    *,
    previous: pd.DataFrame | None,
    line: LineConfig,
    schema: TableSchema | None = None,
    number: int = 1,
) -> tuple[pd.DataFrame, tuple[Quarantined, ...]]:
    """(the complete manifest, sorted by sample; new samples that no split may hold).

    `attrs["purged"]` of the manifest counts new windows that were left out between time blocks of different splits.

    Args:
        rows: New samples; `split` is "" where the source leaves it open.
        previous: Manifest of the newest dataset version, or None; its rows are in the answer unchanged.
        line: Shares of the splits, and whether groups are declared.
        schema: Of a table line.
        number: Of the dataset version that will hold the new rows.
    """
    old = previous if previous is not None else manifest_rows({})
    new = rows.sort_values(Col.SAMPLE, ignore_index=True)
    new[Col.ADDED_IN] = number
    in_blocks = blocked(schema, line=line)
    if in_blocks is not None:
        new = name_blocks(new, block_rows=in_blocks.block_rows)
    both = pd.concat([old, new], ignore_index=True)
    is_new = np.arange(len(both)) >= len(old)
    units = _units(both, is_new)
    drawer = _Drawer(both, is_new, units, line)
    both[Col.SPLIT] = drawer.draw()
    both[Col.SEALED] = both[Col.SPLIT] == str(Split.TEST)
    keep = ~drawer.refused
    if in_blocks is not None:
        keep &= ~purge(both, is_new=is_new, window=in_blocks.window)
    manifest = manifest_rows(_name_clusters(both, is_new, units)[keep].sort_values(Col.SAMPLE))
    manifest.attrs["purged"] = int((~keep & ~drawer.refused).sum())
    return manifest, tuple(sorted(drawer.quarantined, key=lambda item: item.path))


def _units(both: pd.DataFrame, is_new: NDArray[np.bool_]) -> NDArray[np.int64]:
    """``(n,)``: the unit of each sample. What is between old samples was settled when they came."""
    keys = both[Col.GROUP].where(both[Col.GROUP] != "", both[Col.SAMPLE])
    codes, names = pd.factorize(keys)
    pairs = near_pairs(both[Col.FINGERPRINT].tolist())
    pairs = pairs[is_new[pairs].any(axis=1)]
    return clusters(codes[pairs], len(names))[codes]


def _name_clusters(both: pd.DataFrame, is_new: NDArray[np.bool_], units: NDArray[np.int64]) -> pd.DataFrame:
    """Give new near-duplicates without a group the name of their elder, or of the first among them."""
    order = np.lexsort((both[Col.SAMPLE].to_numpy(), is_new, units))
    first = order[np.searchsorted(units[order], units)]
    sizes = np.bincount(units)[units]
    elder = both[Col.GROUP].where(both[Col.GROUP] != "", both[Col.SAMPLE]).to_numpy()[first]
    unnamed = is_new & (both[Col.GROUP] == "").to_numpy() & (sizes > 1)
    both.loc[unnamed, Col.GROUP] = elder[unnamed]
    return both


@dataclass
class _Drawer:
    """Gives every unit its split."""

    both: pd.DataFrame
    is_new: NDArray[np.bool_]
    units: NDArray[np.int64]
    line: LineConfig

    def __post_init__(self) -> None:
        self.anomalous = (self.both[Col.LABEL] == str(Label.ANOMALOUS)).to_numpy()
        self.split: NDArray[np.object_] = self.both[Col.SPLIT].to_numpy(dtype=object).copy()
        self.refused = np.zeros(len(self.both), dtype=bool)
        self._reasons: dict[tuple[str, str, str], list[str]] = {}
        self.given = self.is_new & (self.split != "")

    def draw(self) -> NDArray[np.object_]:
        """``(n,)`` splits; "" where refused."""
        fixed = np.unique(self.units[self.split != ""])
        order = np.argsort(self.units, kind="stable")
        borders = np.searchsorted(self.units[order], fixed)
        ends = np.searchsorted(self.units[order], fixed, side="right")
        for low, high in zip(borders, ends, strict=True):
            members = order[low:high]
            if self.is_new[members].any():
                self._join(members)
        self._share_out()
        return self.split

    def _join(self, members: NDArray[np.int64]) -> None:
        """New members join the split that old ones, or the source, fixed for the unit."""
        new = members[self.is_new[members]]
        elders = {str(self.split[place]) for place in members if not self.is_new[place]}
        given = {str(self.split[place]) for place in new} - {""}
        ranked = [str(split) for split in _RANK if str(split) in (elders or given)]
        target = ranked[0] if len(elders) < 2 else ""
        bridged = len(elders | given) > 1
        for place in new:
            own = str(self.split[place])
            if (own or target) != target or (bridged and not own):
                detail = (
                    f"It is a near-duplicate, or of the group, of samples in {' and '.join(sorted(elders | given))}."
                )
                self._refuse(place, "bridges-splits", detail)
            elif self.anomalous[place] and not self._may_hold(place, target):
                detail = f"It belongs to a unit in {target}, which takes none but what the source puts there."
                self._refuse(place, "anomaly-of-normal-unit", detail)
            else:
                self.split[place] = target

    def _may_hold(self, anomaly: int, split: str) -> bool:
        """Whether an anomalous sample may be in `split`; images are learned from where the source says so alone."""
        learned = self.line.modality is Modality.TABLE or self.given[anomaly]
        return split in {Split.VALIDATION, Split.TEST} or (split == Split.TRAIN and bool(learned))

    def _refuse(self, place: int, reason: str, detail: str) -> None:
        self.split[place], self.refused[place] = "", True
        row = self.both.iloc[place]
        self._reasons.setdefault((row[Col.PATH], row[Col.FILE], reason), []).append(detail)

    @property
    def quarantined(self) -> list[Quarantined]:
        """One record a file and reason, however many of its windows were refused."""
        return [
            Quarantined(
                path=path, sha256=file, reason=reason,
                detail=details[0] + (f" ({len(details)} windows in all)" if len(details) > 1 else ""),
            )
            for (path, file, reason), details in self._reasons.items()
        ]  # fmt: skip

    def _share_out(self) -> None:
        """Divide the units that nothing binds: those with anomalies first, for they bring normal samples along."""
        free = np.flatnonzero((self.split == "") & ~self.refused)
        units, unit_of = np.unique(self.units[free], return_inverse=True)
        size = np.bincount(unit_of, minlength=len(units))
        faults = np.bincount(unit_of, weights=self.anomalous[free], minlength=len(units)).astype(np.int64)
        # Samples are sorted by name, a hash: the first of each unit gives an order that no file name decides.
        first = np.full(len(units), len(self.both))
        np.minimum.at(first, unit_of, free)
        order = np.argsort(self.both[Col.SAMPLE].to_numpy()[first]) if len(units) else np.empty(0, int)
        chosen = np.empty(len(units), dtype=object)
        tables = self.line.modality is Modality.TABLE
        faulty_shares = anomalous_shares(ANOMALOUS_TABLES if tables else ANOMALOUS_IMAGES, along=self._along())
        for has_faults in (True, False):
            which = order[(faults[order] > 0) == has_faults]
            counted = (self.anomalous if has_faults else ~self.anomalous) & (self.split != "") & ~self.refused
            shelf = Shelf(
                faulty_shares if has_faults else normal_shares(self.line.shares, sealed=self._source_seals()),
                have=Counter(map(str, self.split[counted])),
                coming=int((faults if has_faults else size)[which].sum()), units=len(which),
            )  # fmt: skip
            for unit in which:
                chosen[unit] = shelf.place(int(faults[unit] if has_faults else size[unit]))
            done = np.isin(unit_of, which)
            self.split[free[done]] = chosen[unit_of[done]]

    def _along(self) -> float:
        """Share of the normal samples that lie in units with anomalies; what is refused is in none."""
        kept = ~self.refused
        normal = kept & ~self.anomalous
        with_faults = np.isin(self.units, self.units[kept & self.anomalous])
        return float((normal & with_faults).sum() / max(int(normal.sum()), 1))

    def _source_seals(self) -> bool:
        """Whether the source brings its own sealed test samples, now or in an earlier version."""
        layout = self.both[Col.PATH].str.contains(r"(?:^|/)test(?:_public)?/[^/]+/[^/]+$", case=False)
        told = (self.both[Col.LABEL_SOURCE] == "folder") & layout & (self.both[Col.SPLIT] == str(Split.TEST))
        return bool((self.given & (self.split == str(Split.TEST))).any() or told.any())
