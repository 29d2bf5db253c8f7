"""Sample sets read what their manifest rows name, and nothing before it is asked for."""

import io

import numpy as np
import pandas as pd
from PIL import Image as Pillow

from components.core.contracts import Column, Label, Split, TableSchema
from components.core.hashing import sha256_bytes
from components.core.lines import ImageOptions
from components.core.ports import Samples
from components.samples.manifest import COLUMNS, manifest_rows
from components.samples.sets import ImageSamples, TableSamples, select


class Shelf:
    """Stored files by hash, counting what is read."""

    def __init__(self, *contents: bytes) -> None:
        self.contents = {sha256_bytes(content): content for content in contents}
        self.reads: list[str] = []

    def __call__(self, name: str) -> bytes:
        self.reads.append(name)
        return self.contents[name]


def png(value: int, side: int = 40) -> bytes:
    stream = io.BytesIO()
    Pillow.fromarray(np.full((side, side), value, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def test_manifest_rows_have_all_columns_and_types() -> None:
    rows = manifest_rows({"sample": ["x"]})
    assert list(rows) == list(COLUMNS)
    assert (rows["sealed"].dtype, rows["start"].dtype, rows["fingerprint"][0]) == (bool, np.int64, b"")
    assert manifest_rows({}).empty


def test_select() -> None:
    rows = manifest_rows(
        {"sample": list("abc"), "split": ["train", "test", "train"], "label": ["normal", "normal", "anomalous"]}
    )
    assert select(rows, splits={Split.TRAIN})["sample"].tolist() == ["a", "c"]
    assert select(rows, splits=[Split.TRAIN, Split.TEST], label=Label.NORMAL)["sample"].tolist() == ["a", "b"]


def test_images_and_masks_are_read_when_asked_for() -> None:
    shelf = Shelf(png(10), png(200), png(255))
    first, second, mask = shelf.contents
    rows = manifest_rows(
        {"sample": [first, second], "file": [first, second], "label": ["normal", "anomalous"], "mask": ["", mask]}
    )
    samples: Samples = ImageSamples(rows, read=shelf, options=ImageOptions())
    assert not shelf.reads
    assert samples.labels.tolist() == [0, 1]
    assert [int(image[0, 0, 0]) for image in samples.take([1, 0, 1])] == [200, 10, 200]
    assert isinstance(samples, ImageSamples)
    shelf.reads.clear()
    masks = samples.masks([0, 1])
    assert (len(masks), shelf.reads) == (2, [])
    empty, full = masks
    assert shelf.reads == [mask]
    assert empty is None
    assert full is not None
    assert full.all()
    assert samples.subset([1]).ids == [second]


def test_windows_of_several_files_come_in_the_order_asked_and_files_are_parsed_once() -> None:
    one, two = b"a\n1\n2\n3\n", b"a\n10\n20\n"
    shelf = Shelf(one, two)
    a, b = shelf.contents
    schema = TableSchema(features=(Column(name="a", kind="numeric"),), window=2, stride=1)
    rows = manifest_rows(
        {"sample": list("xyz"), "file": [a, b, a], "start": [0, 0, 2], "end": [2, 2, 3], "label": ["normal"] * 3}
    )
    samples = TableSamples(rows, read=shelf, schema=schema)
    assert samples.take([1, 2, 0])[:, :, 0].tolist() == [[10, 20], [3, 3], [1, 2]]
    assert samples.subset([2]).take([0])[:, :, 0].tolist() == [[3, 3]]
    assert sorted(shelf.reads) == sorted([a, b])
    assert pd.Series(samples.ids).tolist() == list("xyz")
