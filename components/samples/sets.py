"""Rows of a manifest as the sample sets that detectors read; files are read when asked for."""

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..core.contracts import Label, ManifestColumn, Split, TableSchema
from ..core.lines import ImageOptions
from ..core.ports import Image, Windows
from .images import decode_image, decode_mask
from .tables import encode_cells, read_table
from .windows import cut

_THREADS = 4
_CACHE_BYTES = 256 << 20


def select(manifest: pd.DataFrame, *, splits: Collection[Split], label: Label | None = None) -> pd.DataFrame:
    """Manifest rows of these splits, and of this label if one is given, in the manifest's order."""
    chosen = manifest[ManifestColumn.SPLIT].isin([str(split) for split in splits])
    if label is not None:
        chosen &= manifest[ManifestColumn.LABEL] == str(label)
    return manifest[chosen].reset_index(drop=True)


class _Rows:
    """What both kinds of sets share: names and labels from manifest rows."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self.rows = rows.reset_index(drop=True)
        self._ids: list[str] = [str(name) for name in self.rows[ManifestColumn.SAMPLE]]
        anomalous = self.rows[ManifestColumn.LABEL] == str(Label.ANOMALOUS)
        self._labels: NDArray[np.int8] = anomalous.to_numpy().astype(np.int8)

    @property
    def ids(self) -> Sequence[str]:
        """N sample names."""
        return self._ids

    @property
    def labels(self) -> NDArray[np.int8]:
        """``(N,)``: 1 anomalous, 0 normal."""
        return self._labels

    def __len__(self) -> int:
        return len(self._ids)


class ImageSamples(_Rows):
    """Images of manifest rows.

    Args:
        rows: Manifest rows, one an image; kept as `rows`.
        read: SHA-256 of a stored file → its bytes, checked.
        options: How the line's images are read.
    """

    def __init__(self, rows: pd.DataFrame, *, read: Callable[[str], bytes], options: ImageOptions) -> None:
        super().__init__(rows)
        self._read, self._options = read, options

    def take(self, indices: Sequence[int]) -> list[Image]:
        """The images at `indices`; several are decoded at once, for Pillow frees the interpreter's lock."""
        files = [str(self.rows[ManifestColumn.FILE].iat[index]) for index in indices]
        if len(files) < 2:
            return [self._image(file) for file in files]
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(self._image, files))

    def masks(self, indices: Sequence[int]) -> Sequence[NDArray[np.bool_] | None]:
        """``(H, W)`` ground truth of each image at `indices`, or None where the source brought none.

        Each is decoded when it is asked for: those of a whole split at once may be larger than memory.
        """
        names = [str(self.rows[ManifestColumn.MASK].iat[index]) for index in indices]
        return _Masks(names, read=self._read, options=self._options)

    def subset(self, indices: Sequence[int] | NDArray[np.intp]) -> "ImageSamples":
        """The samples at `indices` as a set."""
        return ImageSamples(self.rows.iloc[list(indices)], read=self._read, options=self._options)

    def _image(self, file: str) -> Image:
        return decode_image(self._read(file), self._options)


class _Masks(Sequence[NDArray[np.bool_] | None]):
    """Masks by the SHA-256 of their files, "" where there is none."""

    def __init__(self, names: Sequence[str], *, read: Callable[[str], bytes], options: ImageOptions) -> None:
        self._names, self._read, self._options = names, read, options

    def __len__(self) -> int:
        return len(self._names)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.bool_] | None: ...

    @overload
    def __getitem__(self, index: slice) -> "_Masks": ...

    def __getitem__(self, index: int | slice) -> "NDArray[np.bool_] | _Masks | None":
        if isinstance(index, slice):
            return _Masks(self._names[index], read=self._read, options=self._options)
        name = self._names[index]
        return decode_mask(self._read(name), self._options) if name else None


class TableSamples(_Rows):
    """Windows of manifest rows. Parsed files stay in memory up to 256 MB, the one used longest ago goes first.

    Args:
        rows: Manifest rows, one a window; kept as `rows`.
        read: SHA-256 of a stored file → its bytes, checked.
        schema: The line's schema.
    """

    def __init__(self, rows: pd.DataFrame, *, read: Callable[[str], bytes], schema: TableSchema) -> None:
        super().__init__(rows)
        self._schema = schema
        self._files = _ParsedFiles(read, schema)
        self._bounds = self.rows[[ManifestColumn.START, ManifestColumn.END]].to_numpy(np.int64)
        self._file_of = self.rows[ManifestColumn.FILE].astype(str).to_numpy()

    def take(self, indices: Sequence[int]) -> Windows:
        """``(N, W, D)``: the windows at `indices`."""
        chosen = np.asarray(list(indices), dtype=np.intp)
        windows = np.empty((len(chosen), self._schema.window, len(self._schema.features)))
        files = self._file_of[chosen]
        for file in dict.fromkeys(files):
            here = np.flatnonzero(files == file)
            windows[here] = cut(self._files.values(file), self._bounds[chosen[here]], window=self._schema.window)
        return windows

    def subset(self, indices: Sequence[int] | NDArray[np.intp]) -> "TableSamples":
        """The samples at `indices` as a set; parsed files are shared."""
        part = TableSamples(self.rows.iloc[list(indices)], read=self._files.read, schema=self._schema)
        part._files = self._files
        return part


class _ParsedFiles:
    """Encoded values of whole files, the least recently used forgotten first."""

    def __init__(self, read: Callable[[str], bytes], schema: TableSchema) -> None:
        self.read, self._schema = read, schema
        self._kept: OrderedDict[str, NDArray[np.float64]] = OrderedDict()

    def values(self, file: str) -> NDArray[np.float64]:
        """``(R, D)`` of the file of that SHA-256."""
        if file in self._kept:
            self._kept.move_to_end(file)
            return self._kept[file]
        values = encode_cells(read_table(self.read(file)), self._schema)
        self._kept[file] = values
        while len(self._kept) > 1 and sum(kept.nbytes for kept in self._kept.values()) > _CACHE_BYTES:
            self._kept.popitem(last=False)
        return values
