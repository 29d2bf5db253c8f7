"""Image sources of every layout become rows; nothing hostile stops the run, nothing at the source changes."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Pillow

from components.adapters.objects import open_store
from components.core.contracts import Modality
from components.core.errors import ConfigError, SourceError
from components.core.hashing import folder_hashes
from components.core.lines import ImageOptions, LineConfig
from components.ingest.collect import Collected, clear_staging, collect
from components.settings import ObjectSettings


def png(seed: int, side: int = 40) -> bytes:
    stream = io.BytesIO()
    Pillow.fromarray(np.random.default_rng(seed).integers(0, 255, (side, side, 3), dtype=np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def write(root: Path, files: dict[str, bytes | str]) -> Path:
    for key, content in files.items():
        path = root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def ingest(
    source: Path,
    staging: Path,
    *,
    manifest: pd.DataFrame | None = None,
    quarantined: set[str] = frozenset(),
    **options: object,
) -> Collected:
    line = LineConfig(name="press", modality=Modality.IMAGE, source=str(source), image=ImageOptions(**options))
    before = folder_hashes(source)
    try:
        return collect(
            line, store=open_store(line.source, ObjectSettings()), manifest=manifest, quarantined=quarantined,
            staging=staging, workers=4,
        )  # fmt: skip
    finally:
        assert folder_hashes(source) == before


def deep_png(seed: int, *, bits: int) -> bytes:
    stream = io.BytesIO()
    values = np.random.default_rng(seed).integers(0, 2**bits, (40, 40), dtype=np.uint16)
    Pillow.fromarray(values).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(("bits", "grey"), [(10, 5), (12, 17), (14, 65)])
def test_a_camera_of_fewer_bits_than_its_files_is_told_what_keeps_them(tmp_path: Path, bits: int, grey: int) -> None:
    write(tmp_path / "s", {f"good/{seed}.png": deep_png(seed, bits=bits) for seed in range(3)})
    (said,) = ingest(tmp_path / "s", tmp_path / "st").notices
    assert said == (
        f"3 new images in 16 bits seem to be of {bits}, of which {grey} grey levels are left:"
        f" image.white_level: {2**bits - 1} in the line's file keeps 256."
    )
    assert ingest(tmp_path / "s", tmp_path / "other", white_level=2**bits - 1).notices == ()


def test_a_camera_of_16_bits_and_dark_images_of_8_need_no_white_level(tmp_path: Path) -> None:
    dark = io.BytesIO()
    Pillow.fromarray(np.random.default_rng(0).integers(0, 20, (40, 40), dtype=np.uint8)).save(dark, "PNG")
    write(tmp_path / "s", {"good/a.png": deep_png(0, bits=16), "good/b.png": deep_png(0, bits=12)})
    write(tmp_path / "t", {"good/a.png": dark.getvalue()})
    assert ingest(tmp_path / "s", tmp_path / "st").notices == ()
    assert ingest(tmp_path / "t", tmp_path / "other").notices == ()


def test_images_that_nothing_labels_are_counted(tmp_path: Path) -> None:
    write(tmp_path / "s", {"a.png": png(1), "b.png": png(2), "good/c.png": png(3)})
    assert ingest(tmp_path / "s", tmp_path / "st").notices == (
        "Neither a folder nor a labels file says what 2 of 3 new images are: they count as normal.",
    )


def table(found: Collected) -> dict[str, tuple[str, str, str, str]]:
    columns = found.rows[["path", "label", "label_source", "defect", "split"]]
    return {path: tuple(rest) for path, *rest in columns.itertuples(index=False)}


def test_mvtec_layout_with_masks(tmp_path: Path) -> None:
    mask = np.zeros((40, 40), np.uint8)
    mask[:9] = 255
    stream = io.BytesIO()
    Pillow.fromarray(mask).save(stream, "PNG")
    source = write(tmp_path / "s", {
        "bottle/train/good/1.png": png(1), "bottle/test/good/1.png": png(2), "bottle/test/crack/1.png": png(3),
        "bottle/test/odd_colour/1.png": png(4), "bottle/ground_truth/crack/1_mask.png": stream.getvalue(),
        "bottle/ground_truth/odd_colour/1.png": png(5, 48), "bottle/license.txt": "no image",
    })  # fmt: skip
    found = ingest(source, tmp_path / "st")
    assert table(found) == {
        "bottle/train/good/1.png": ("normal", "folder", "", ""),
        "bottle/test/good/1.png": ("normal", "folder", "", "test"),
        "bottle/test/crack/1.png": ("anomalous", "folder", "crack", "test"),
        "bottle/test/odd_colour/1.png": ("anomalous", "folder", "odd_colour", "test"),
    }
    rows = found.rows.set_index("path")
    assert rows.loc["bottle/test/crack/1.png", "mask"] in found.files
    assert rows["mask"].ne("").sum() == 1
    assert [(item.path, item.reason) for item in found.quarantined] == [
        ("bottle/ground_truth/odd_colour/1.png", "mask-shape")
    ]
    assert (found.found, found.skipped, len(found.files)) == (4, 1, 5)
    assert rows["sealed"].sum() == 3


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["a.png", "b.png"], {"a.png": ("normal", "assumed", "", "")}),
        (["2024-05-01/a.png"], {"2024-05-01/a.png": ("normal", "assumed", "", "")}),
        (["good/a.png", "blob/b.png"], {"blob/b.png": ("anomalous", "folder", "blob", "")}),
        (["OK/a.png", "NG/b.png"], {"NG/b.png": ("anomalous", "folder", "NG", "")}),
        (["a.png", "scratched/b.png"], {"scratched/b.png": ("anomalous", "folder", "scratched", "")}),
        (["train/a.png", "test/good/b.png"], {"train/a.png": ("normal", "assumed", "", "")}),
        (["ok/a.png", "validation/bad/b.png"], {"validation/bad/b.png": ("anomalous", "folder", "bad", "validation")}),
    ],
)  # fmt: skip
def test_layouts(tmp_path: Path, files: list[str], expected: dict[str, tuple[str, str, str, str]]) -> None:
    source = write(tmp_path / "s", {key: png(seed) for seed, key in enumerate(files)})
    assert expected.items() <= table(ingest(source, tmp_path / "st")).items()


def test_labels_file(tmp_path: Path) -> None:
    csv = (
        "path,label,defect,group,split\na.png,good,,p1,\nb.png,1,dent,p2,test\nc.png,scratch,,,\nx/d.png,ok,,,calibration\n"
        "gone.png,ok,,,\ne.png,ng,,,train\nf.png,ng,,,calibration\n"
    )
    source = write(
        tmp_path / "s", {"labels.csv": csv, **{f"{k}.png": png(ord(k[-1])) for k in ("a", "b", "c", "x/d", "e", "f")}}
    )
    found = ingest(source, tmp_path / "st")
    assert table(found) == {
        "a.png": ("normal", "labels-file", "", ""),
        "b.png": ("anomalous", "labels-file", "dent", "test"),
        "c.png": ("anomalous", "labels-file", "scratch", ""),
        "x/d.png": ("normal", "labels-file", "", "calibration"),
        "e.png": ("anomalous", "labels-file", "", "train"),
    }
    groups = found.rows.set_index("path")["group"].to_dict()
    assert {path: group for path, group in groups.items() if group} == {"a.png": "p1", "b.png": "p2"}
    assert [(item.path, item.reason) for item in found.quarantined] == [
        ("f.png", "unlabelled"),
        ("gone.png", "missing-file"),
    ]


def test_a_labels_file_that_names_a_file_of_another_kind(tmp_path: Path) -> None:
    files = {"labels.csv": "path,label\na.png,ok\nb.webp,ok\n", "a.png": png(1), "b.webp": "RIFF"}
    (refused,) = ingest(write(tmp_path / "s", files), tmp_path / "st").quarantined
    assert (refused.path, refused.reason) == ("b.webp", "not-an-image")
    assert refused.detail == "labels.csv names it, but only PNG, JPEG, BMP and TIFF files are read."


@pytest.mark.parametrize(
    ("csv", "message"),
    [
        ("file\na.png\n", "no label column"),
        ("path,label,split\na.png,ok,somewhere\n", "somewhere"),
        ("path,label\na.png,\n", "no label for"),
        ("path,label\na.png,ok\na.png,ng\n", "twice"),
    ],
)
def test_a_wrong_labels_file_is_one_clear_line(tmp_path: Path, csv: str, message: str) -> None:
    source = write(tmp_path / "s", {"labels.csv": csv, "a.png": png(1)})
    with pytest.raises(SourceError, match=message):
        ingest(source, tmp_path / "st")
    with pytest.raises(SourceError, match="other"):
        ingest(source, tmp_path / "st", labels_file="other.csv")


def test_groups_come_from_the_path(tmp_path: Path) -> None:
    source = write(tmp_path / "s", {"part7_a.png": png(1), "part8_a.png": png(2), "x.png": png(3)})
    found = ingest(source, tmp_path / "st", group_pattern=r"(part\d+)_")
    assert found.rows.set_index("path")["group"].to_dict() == {
        "part7_a.png": "part7",
        "part8_a.png": "part8",
        "x.png": "",
    }
    with pytest.raises(ConfigError, match="group_pattern"):
        ingest(source, tmp_path / "st", group_pattern="part")


def test_fifty_bad_files_do_not_stop_ten_good_ones(tmp_path: Path) -> None:
    good = {f"good/{seed}.png": png(seed) for seed in range(10)}
    half = {f"good/half{seed}.png": png(seed)[: 200 + seed] for seed in range(20)}
    text = {f"good/text{seed}.jpg": f"no image {seed}" for seed in range(20)}
    tiny = {f"good/tiny{seed}.png": png(seed, 9) for seed in range(10)}
    source = write(tmp_path / "s", {**good, **half, **text, **tiny, "good/empty.png": b""})
    found = ingest(source, tmp_path / "st")
    assert len(found.rows) == 10
    reasons = pd.Series([item.reason for item in found.quarantined]).value_counts().to_dict()
    assert reasons == {"truncated": 20, "not-an-image": 20, "too-small": 10, "empty": 1}
    assert all(item.sha256 for item in found.quarantined)


def test_the_same_content_is_one_sample_and_two_labels_are_none(tmp_path: Path) -> None:
    source = write(tmp_path / "s", {
        "good/1.png": png(1), "good/2.png": png(1), "good/3.png": png(3), "crack/4.png": png(4), "good/4.png": png(4),
    })  # fmt: skip
    found = ingest(source, tmp_path / "st")
    assert found.rows["path"].tolist() == ["good/1.png", "good/3.png"]
    assert found.duplicates == 2
    assert [item.reason for item in found.quarantined] == ["contradicting-labels"]


def test_a_sealed_test_image_stays_sealed_though_train_holds_it_too(tmp_path: Path) -> None:
    source = write(tmp_path / "s", {"train/good/1.png": png(1), "train/good/2.png": png(2), "test/good/9.png": png(1)})
    assert table(ingest(source, tmp_path / "st"))["test/good/9.png"][3] == "test"


def test_a_second_ingest_finds_only_what_is_new(tmp_path: Path) -> None:
    source = write(tmp_path / "s", {"good/1.png": png(1), "good/2.png": png(2), "good/bad.png": b"x"})
    first = ingest(source, tmp_path / "st")
    refused = {item.sha256 for item in first.quarantined}
    write(source, {"good/3.png": png(3), "crack/1.png": png(1)})
    clear_staging(tmp_path / "st")
    second = ingest(source, tmp_path / "st", manifest=first.rows, quarantined=refused)
    assert second.rows["path"].tolist() == ["good/3.png"]
    assert list(second.files) == second.rows["sample"].tolist()
    assert (second.duplicates, second.skipped) == (2, 1)
    assert [(item.path, item.reason) for item in second.quarantined] == [("crack/1.png", "contradicting-labels")]
    third = ingest(source, tmp_path / "st", manifest=pd.concat([first.rows, second.rows]), quarantined=refused | {
        item.sha256 for item in second.quarantined
    })  # fmt: skip
    assert third.rows.empty
    assert not third.quarantined


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "is empty"),
        ({"readme.md": "x"}, "holds no images"),
        ({"defect/1.png": png(1)}, "no normal samples"),
        ({"test/good/1.png": png(1), "test/crack/2.png": png(2)}, "no normal samples"),
        ({"labels.csv": "path,label\n1.png,ng\n", "1.png": png(1)}, "no normal samples"),
        ({"1.png": "text", "2.png": "words"}, "None of 2 new files"),
    ],
)
def test_sources_that_cannot_be_used(tmp_path: Path, files: dict[str, bytes | str], message: str) -> None:
    (tmp_path / "s").mkdir()
    with pytest.raises(SourceError, match=message):
        ingest(write(tmp_path / "s", files), tmp_path / "st")


def test_a_source_of_nothing_but_links_that_lead_out_of_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "outside.png").write_bytes(png(9))
    (tmp_path / "s" / "good").mkdir(parents=True)
    for name in ("1.png", "2.png"):
        (tmp_path / "s" / "good" / name).symlink_to(tmp_path / "outside.png")
    line = LineConfig(name="press", modality=Modality.IMAGE, source=str(tmp_path / "s"))
    store = open_store(line.source, ObjectSettings())
    with pytest.raises(SourceError, match=r"None of 2 new files of .*; 'good/1.png': unreadable: "):
        collect(line, store=store, manifest=None, quarantined=set(), staging=tmp_path / "st")


def test_names_that_are_no_unicode_are_held_all_the_same(tmp_path: Path) -> None:
    source = write(tmp_path / "s", {"1.png": png(1)})
    (source / "b\udcff.png").write_bytes(png(2))
    (source / "c\udcfe.png").write_bytes(b"text")
    found = ingest(source, tmp_path / "st")
    assert found.rows["path"].tolist() == ["1.png", "b\\udcff.png"]
    assert [item.path for item in found.quarantined] == ["c\\udcfe.png"]


def test_what_cannot_be_read_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "outside.png").write_bytes(png(9))
    source = write(tmp_path / "s", {"1.png": png(1), "labels.csv": "path,label\n1.png,ok\ngone.png,ok\n"})
    line = LineConfig(name="press", modality=Modality.IMAGE, source=str(source))
    (source / "link.png").symlink_to(tmp_path / "outside.png")

    def again(manifest: pd.DataFrame | None, refused: set[str]) -> Collected:
        store = open_store(line.source, ObjectSettings())
        return collect(line, store=store, manifest=manifest, quarantined=refused, staging=tmp_path / "st")

    first = again(None, set())
    assert [(item.path, item.reason) for item in first.quarantined] == [
        ("gone.png", "missing-file"), ("link.png", "unreadable"),
    ]  # fmt: skip
    second = again(first.rows, {item.sha256 for item in first.quarantined})
    assert (len(second.rows), second.quarantined) == (0, ())
