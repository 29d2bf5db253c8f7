"""The runner reads files as we do: images bit for bit, tables cell for cell and window for window."""

import io
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from components.core.contracts import Column, TableSchema
from components.core.errors import ModelError
from components.core.lines import ImageOptions, TableOptions
from components.export.runner import detector, images, run, tables
from components.export.scoring import score_export
from components.models.images import scaled
from components.samples.images import decode_image
from components.samples.tables import encode_cells, infer_schema, read_table
from components.samples.unusable import UnusableSample
from components.samples.windows import cut, window_starts

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (50, 70), np.uint8)
COLOUR = RNG.integers(0, 256, (50, 70, 3), np.uint8)


def encoded(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(Image.fromarray(COLOUR), "JPEG", exif=exif.tobytes())


def palette() -> bytes:
    picture = Image.fromarray(COLOUR).quantize(16)
    return encoded(picture, transparency=3)


FILES = {
    "grey": encoded(Image.fromarray(GREY)),
    "colour": encoded(Image.fromarray(COLOUR), "BMP"),
    "colour png": encoded(Image.fromarray(COLOUR)),
    "alpha": encoded(Image.fromarray(np.dstack([COLOUR, GREY]))),
    "turned": rotated(),
    "palette": palette(),
    "deep": encoded(Image.fromarray(GREY.astype(np.uint16) * 16 + 7)),
    "deep tiff": encoded(Image.fromarray(GREY.astype(np.uint16) * 16 + 7), "TIFF"),
    "cmyk": encoded(Image.fromarray(COLOUR).convert("CMYK"), "JPEG"),
    "two colours": encoded(Image.fromarray(GREY > 128)),
}


@pytest.mark.parametrize("white", [0, 4095])
@pytest.mark.parametrize("name", FILES)
def test_images_are_the_same_bits(name, white):
    ours = scaled(decode_image(FILES[name], ImageOptions(white_level=white)), height=64, width=64)
    spec = {"preparation": {"sizes": {"image": [64, 64]}, "white_level": white or 65535}}
    found = images.pixels(FILES[name], spec)["image"]
    assert found.dtype == np.uint8
    assert np.array_equal(found[0], ours)


def test_an_image_of_the_network_s_size_is_left_alone():
    data = encoded(Image.fromarray(COLOUR[:50, :50]))
    found = images.pixels(data, {"preparation": {"sizes": {"image": [50, 50]}, "white_level": 65535}})
    assert np.array_equal(found["image"][0], COLOUR[:50, :50])


def test_a_network_of_two_inputs_gets_one_image_at_both_sizes():
    sizes = {"one/image": [32, 48], "other/image": [28, 28]}
    found = images.pixels(FILES["colour"], {"preparation": {"sizes": sizes, "white_level": 65535}})
    assert {name: list(pixels.shape) for name, pixels in found.items()} == {
        name: [1, *size, 3] for name, size in sizes.items()
    }
    assert np.array_equal(found["other/image"][0], scaled(COLOUR, height=28, width=28))


def test_an_image_of_another_aspect_than_was_learned_is_refused():
    spec = {"preparation": {"sizes": {"image": [64, 64]}, "white_level": 65535, "aspect": [0.9, 1.1]}}
    assert images.pixels(encoded(Image.fromarray(COLOUR[:50, :52])), spec)["image"].shape == (1, 64, 64, 3)
    with pytest.raises(ValueError, match=r"52 x 40 pixels are not of the aspect 0\.90 to 1\.10 learned"):
        images.pixels(encoded(Image.fromarray(COLOUR[:40, :52])), spec)


@pytest.mark.parametrize("limits", [{"min_side": 51}, {"max_pixels": 2_599}])
def test_an_image_that_the_line_would_not_take_is_refused(limits):
    preparation = {"sizes": {"image": [64, 64]}, "white_level": 65535, "min_side": 50, "max_pixels": 2_600}
    data = encoded(Image.fromarray(COLOUR[:50, :52]))
    assert images.pixels(data, {"preparation": preparation})["image"].shape == (1, 64, 64, 3)
    with pytest.raises(ValueError, match="52 x 50 pixels: no side below"):
        images.pixels(data, {"preparation": preparation | limits})


@pytest.mark.parametrize("data", [b"", b"time,flow\n1,2\n", encoded(Image.fromarray(COLOUR), "WEBP")])
def test_only_files_that_we_read_are_read(data):
    with pytest.raises(ValueError, match=r"^it is no PNG, JPEG, BMP or TIFF image$"):
        images.pixels(data, {"preparation": {"sizes": {"image": [50, 50]}, "white_level": 65535}})


def test_an_image_that_claims_all_memory_is_refused_as_one_that_cannot_be_read():
    data = bytearray(FILES["colour"])
    data[18:22] = (2**31 - 1).to_bytes(4, "little")  # the width in a BMP's header, which no checksum covers
    with pytest.raises(ValueError, match="it is too large: "):
        images.pixels(bytes(data), {"preparation": {"sizes": {"image": [50, 50]}, "white_level": 65535}})


def test_a_damaged_image_is_refused_as_one_that_cannot_be_read():
    data = bytearray(FILES["colour png"])
    data[data.index(b"IDAT") - 2] -= 16  # so that the next chunk is looked for within: a SyntaxError of Pillow's
    with pytest.raises(ValueError, match="it does not decode: broken PNG file"):
        images.pixels(bytes(data), {"preparation": {"sizes": {"image": [50, 50]}, "white_level": 65535}})


def text(delimiter: str = ",", point: str = ".") -> bytes:
    """Fifty rows with a gap in time, a step backwards, missing and strange cells; the mode changes the group."""
    rng = np.random.default_rng(1)
    times = [f"2025-03-0{1 + number // 30}T10:{number % 30:02d}:00" for number in range(50)]
    times[20] = "2025-03-01T09:00:00"
    times[29] = ""  # beside a gap
    lines = [delimiter.join(["time", "flow", "valve", "mode", "part"])]
    for number, time in enumerate(times):
        strange = ["", "?", "NaN", "ERR", "inf"] if point == "." else ["", "?", "NaN", "-", "null"]
        flow = strange[number] if number < 5 else f"{rng.normal(5, 1):.3f}".replace(".", point)
        valve = ["True", "False"][number % 2]
        mode = "eco" if number % 3 else " boost"
        lines.append(delimiter.join([time, flow, valve, mode, f"p{number // 17}"]))
    return ("\n".join(lines) + "\n").encode()


@pytest.mark.parametrize(("delimiter", "point"), [(",", "."), (";", ","), ("\t", ".")])
@pytest.mark.parametrize("window", [1, 8])
def test_windows_are_the_same_values(delimiter, point, window):
    options = TableOptions(window=window, stride=max(window - 3, 1), timestamp="time", group="part")
    data = text(delimiter, point)
    frame = read_table(data)
    schema = infer_schema(frame, options)
    assert [column.kind for column in schema.features] == ["numeric", "numeric", "categorical"]
    values = encode_cells(frame, schema)
    values[np.isinf(values)] = np.nan
    bounds = window_starts(frame, schema, group="part")
    spec = {
        "preparation": {
            "columns": [column.model_dump() for column in schema.features], "window": window, "stride": schema.stride,
            "timestamp": "time", "group": "part", "offset": [1.0, 0.0, 0.0], "unit": [2.0, 1.0, 1.0], "limit": 1e6,
        }
    }  # fmt: skip
    parts = list(tables.samples(data, spec))
    assert [place for places, _ in parts for place in places] == [{"start": a, "end": b} for a, b in bounds.tolist()]
    expected = (cut(values, bounds, window=window) - [1.0, 0.0, 0.0]) / [2.0, 1.0, 1.0]
    assert np.array_equal(
        np.concatenate([one["window"] for _, one in parts]), expected.astype(np.float32), equal_nan=True
    )


def test_a_category_never_seen_and_a_missing_column():
    column = {"name": "mode", "kind": "categorical", "categories": ["eco"]}
    spec = {"preparation": {"columns": [column], "timestamp": "", "group": ""}}
    assert tables.table_of(b"mode\neco\nnew\n", spec).values.tolist() == [[0], [-1]]
    with pytest.raises(ValueError, match="column 'mode' is missing"):
        tables.table_of(b"other\n1\n", spec)


@pytest.mark.parametrize(
    "words", ["01 1.50 2E3 true", "01 1.50 2E3 true auto", "1 1.5 2000.0 TRUE nan", "1_0 inf False"]
)
def test_categories_are_the_same_in_every_notation(words):
    data = ("mode,n\n" + "".join(f"{word},1\n" for word in words.split())).encode()
    column = Column(name="mode", kind="categorical", categories=("01", "1", "1.50", "2E3", "auto", "true"))
    theirs = encode_cells(read_table(data), TableSchema(features=(column,), timestamp=None, window=1, stride=1))
    spec = {"preparation": {"columns": [column.model_dump()], "timestamp": "", "group": ""}}
    assert np.array_equal(tables.table_of(data, spec).values, theirs, equal_nan=True)


def test_a_file_that_is_no_csv():
    with pytest.raises(ValueError, match="it is no CSV file: "):
        list(tables.rows_of(b"\x89PNG\r\n\x1a\n\x00\rIHDR\r\r"))
    with pytest.raises(ValueError, match="it is no CSV file: it holds zero bytes"):
        list(tables.rows_of(b"a,b\n1,0.8\0\x00703\n"))


def test_no_file_is_no_success():
    done = subprocess.run([sys.executable, "-I", run.__file__], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "usage: python run.py FILE...\n")


def test_a_device_tells_nobody_that_it_runs(exports):
    code = (
        "import sys, pathlib; reached = []\n"
        "sys.addaudithook(lambda event, _: event in ('socket.getaddrinfo', 'os.fork') and reached.append(event))\n"
        "folder = pathlib.Path(sys.argv[1]); sys.path.insert(0, str(folder))\n"
        "import detector; detector.opened(folder); print(reached, 'openvino' in sys.modules)"
    )
    folder, _ = exports["image", "openvino"]
    command = [sys.executable, "-I", "-B", "-c", code, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={})
    assert (done.returncode, done.stdout) == (0, "[] True\n"), done.stderr


def test_a_category_may_be_called_none_and_what_is_missing_is_missing_in_both():
    words = ["none", "NONE", "None", "Na", "NA", "null", "Null", "-", "", "warn", "nan", "Nan"]
    data = ("alarm,flow\n" + "".join(f"{word},{word}\n" for word in [*words, "1"])).encode()
    columns = (
        Column(name="alarm", kind="categorical", categories=("none", "warn")),
        Column(name="flow", kind="numeric"),
    )
    theirs = encode_cells(read_table(data), TableSchema(features=columns, timestamp=None, window=1, stride=1))
    theirs[np.isinf(theirs)] = np.nan
    columns = [column.model_dump() for column in columns]
    spec = {"preparation": {"columns": columns, "timestamp": "", "group": ""}}
    assert np.array_equal(tables.table_of(data, spec).values, theirs, equal_nan=True)


@pytest.mark.parametrize("data", [b"", b"flow,mode\n"])
def test_a_file_without_rows_is_refused_as_one_that_cannot_be_read(data):
    spec = {"preparation": {"columns": [], "window": 4, "stride": 2, "timestamp": "", "group": ""}}
    with pytest.raises(ValueError, match="the table has no rows"):
        list(tables.samples(data, spec))


@pytest.mark.parametrize(
    "data",
    [
        b"a,b\n1,2\n   \n3,4\n  \n",
        b"\n \na,b\n1,2\n3,4\n",
        b"a,b\r1,2\r3,4\r",
        b'"x,y,z";a;b\n0;1;2\n0;3;4\n',
        b"a,b,\n1,2,\n3,4,\n",
        b"b,a,c\n2,1,text\n4,3\n",
        "a;b\n1;2\n3;4\n".encode("utf-16"),
        b"a,b\n1,2\n1_000,4\n",
        b"a;b\n1;2\n1.070;1.234,5\n953;0,5\n",
        b"a;b\n1;2\n1.070;1.5\n953;0,5\n",
        b"a;b\n1;2\n1.070;1.234\n953;0\n",
    ],
    ids=[
        "blank lines",
        "blank first",
        "old ends of lines",
        "marks in a name",
        "ends",
        "order",
        "utf-16",
        "underscore",
        "thousands",
        "mixed",
        "points",
    ],
)
def test_what_a_file_may_look_like_is_the_same(data):
    columns = tuple(Column(name=name, kind="numeric") for name in ("a", "b"))
    theirs = encode_cells(read_table(data), TableSchema(features=columns, timestamp=None, window=1, stride=1))
    theirs[np.isinf(theirs)] = np.nan
    spec = {"preparation": {"columns": [column.model_dump() for column in columns], "timestamp": "", "group": ""}}
    assert np.array_equal(tables.table_of(data, spec).values, theirs, equal_nan=True)
    assert theirs[0].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"a,b,a\n1,2,7\n", "two columns are called 'a'"),
        (b"a,b\n1,2\n3,4,5\n", "line 3 has 3 cells, the header 2"),
        (b"a,b\n1,5,2,5\n", "line 2 has 4 cells, the header 2"),
        (b'a,b,c\n1,2,"x\n3,4,z\n', "unexpected end of data"),
    ],
)
def test_what_could_be_read_wrong_is_refused_by_both(data, why):
    columns = [{"name": name, "kind": "numeric"} for name in ("a", "b")]
    with pytest.raises(UnusableSample):
        read_table(data)
    with pytest.raises(ValueError, match=why):
        tables.table_of(data, {"preparation": {"columns": columns, "timestamp": "", "group": ""}})


def test_a_group_is_the_same_in_every_notation_of_its_number():
    data = b"flow,batch\n1,1\n2,01\n3,1.0\n4,2\n5,2\n"
    frame = read_table(data)
    schema = TableSchema(features=(Column(name="flow", kind="numeric"),), window=2, stride=2)
    how = {
        "columns": [{"name": "flow", "kind": "numeric"}],
        "timestamp": "",
        "group": "batch",
        "window": 2,
        "stride": 2,
    }
    spec = {"preparation": how}
    expected = window_starts(frame, schema, group="batch").tolist()
    assert [list(ends) for ends in tables.window_bounds(tables.table_of(data, spec), spec)] == expected
    assert expected == [[0, 2], [1, 3], [3, 5]]


@pytest.mark.parametrize("first", ["sep=;\n", '"sep=;"\r\n', "sep=,\n"])
def test_the_line_in_which_excel_tells_itself_the_delimiter_is_no_header(first):
    data = (first + "flow;count\n1,5;1,0\n2,5;2,0\n").encode()
    frame = read_table(data)
    assert (list(frame.columns), frame["flow"].tolist()) == (["flow", "count"], [1.5, 2.5])
    columns = [{"name": name, "kind": "numeric"} for name in ("flow", "count")]
    spec = {"preparation": {"columns": columns, "timestamp": "", "group": ""}}
    assert tables.table_of(data, spec).values.tolist() == frame.to_numpy().tolist()


def test_text_is_not_kept():
    data = b"time,flow,valve\n" + b"".join(b"%d,0.5,%d\n" % (row, row % 7) for row in range(20_000))
    columns = [{"name": name, "kind": "numeric"} for name in ("flow", "valve")]
    spec = {"preparation": {"columns": columns, "timestamp": "time", "group": ""}}
    tracemalloc.start()
    table = tables.table_of(data, spec)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert table.values.shape == (20_000, 2)
    assert kept < 120 * 20_000
    assert peak < 180 * 20_000


def test_decimal_commas_with_exponents_are_the_same_numbers():
    data = b"flow;count\n1,5E-03;1,0\n-2,5e+1;2,0\n,5;3,0\n7,;4,0\n3e2;5,0\n"
    columns = tuple(Column(name=name, kind="numeric") for name in ("flow", "count"))
    theirs = encode_cells(read_table(data), TableSchema(features=columns, timestamp=None, window=1, stride=1))
    preparation = {"columns": [column.model_dump() for column in columns], "timestamp": "", "group": ""}
    assert theirs[:, 0] == pytest.approx([0.0015, -25.0, 0.5, 7.0, 300.0], rel=1e-15)
    assert tables.table_of(data, {"preparation": preparation}).values == pytest.approx(theirs, rel=1e-15)


@pytest.mark.parametrize("window", [1, 2])
def test_an_export_whose_runner_could_not_read_the_line_s_times_is_refused(window, monkeypatch):
    spec = {
        "modality": "table", "outputs": ["score"],
        "preparation": {
            "columns": [{"name": "flow", "kind": "numeric"}], "window": window, "stride": 1, "timestamp": "time",
            "group": "", "offset": [0.0], "unit": [1.0], "limit": 1e6,
        },
    }  # fmt: skip
    opened = spec, lambda values: {"score": values["window"].sum(axis=(1, 2))}
    monkeypatch.setattr(detector, "opened", lambda _: opened)
    rows = pd.DataFrame({"file": ["f", "f"], "start": [0, 1], "end": [window, window + 1]})
    data = b"time;flow\n01.02.2026 08:00;1,5\n01.02.2026 08:01;2\n01.02.2026 08:02;4\n"
    if window == 1:  # where no time parts rows, none is read
        assert score_export(Path(), rows, read=lambda _: data).image.tolist() == [1.5, 2.0]
    else:
        with pytest.raises(ModelError, match="cannot read a file of this line: Invalid isoformat string"):
            score_export(Path(), rows, read=lambda _: data)


def test_times_are_numbers_or_iso():
    spec = {"preparation": {"columns": [], "window": 2, "stride": 2, "timestamp": "t", "group": ""}}
    table = tables.table_of(b"t, \n1,a\n2,b\n3,c\n30,d\n31,e\n", spec)
    assert list(tables.window_bounds(table, spec)) == [(0, 2), (1, 3), (3, 5)]
    assert pd.Timestamp("2025-03-01T10:00:00+02:00").timestamp() == tables._seconds("2025-03-01T10:00:00+02:00")
