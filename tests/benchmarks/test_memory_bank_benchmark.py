"""What the benchmark of the memory bank measures."""

import shutil

import numpy as np
import pytest
from PIL import Image

from benchmarks import memory_bank
from benchmarks.images import listed, of_kinds
from benchmarks.patchcore_peer import _data


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    for kind, count in (("train/good", 5), ("test/good", 2), ("test/hole", 2)):
        (tmp_path / "set" / kind).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(90, 110, (64, 64, 3)).astype(np.uint8)
            pixels[:30, :30] = 255 if kind == "test/hole" else pixels[:30, :30]
            Image.fromarray(pixels).save(tmp_path / "set" / kind / f"{number}.png")
    return tmp_path / "set"


def test_ours_has_every_figure_and_what_radii_are_taken_from(folder):
    found = memory_bank.ours(folder, size=64, stages="2-3", ratio=0.1, precision="f32")
    assert found["patches"].shape == (5 * 64, 152)
    assert found["bank"].shape == (32, 152)
    assert found["auroc"] == 1
    assert all(found[name] > 0 for name in ("fit_s", "images_per_s", "peak_mb"))
    assert memory_bank._radius(found["patches"], found["bank"]) > 0
    assert memory_bank._radius(found["patches"], found["patches"]) == 0


def test_a_ratio_above_one_is_better_for_us():
    assert memory_bank.ratio_of("fit_s", 2.0, 60.0) == 30
    assert memory_bank.ratio_of("images_per_s", 80.0, 8.0) == 10
    assert memory_bank.ratio_of("auroc", None, 0.5) is None
    assert memory_bank.ratio_of("covering_radius", 0.0, 0.0) is None  # a bank of all patches


def test_a_view_holds_the_first_training_images_and_all_of_test(folder, tmp_path):
    view = memory_bank._view(folder, images=3, folder=tmp_path / "views")
    assert sorted(path.name for path in (view / "train" / "good").iterdir()) == ["0.png", "1.png", "2.png"]
    assert len(list((view / "test").glob("*/*"))) == 4


def test_a_view_holds_what_other_folders_of_the_shape_have_below_and_beside_their_images(folder, tmp_path):
    for part in ("test/hole/first/0.PNG", "test/hole/second/0.PNG"):
        (folder / part).parent.mkdir()
        Image.fromarray(np.full((64, 64), 9, np.uint8)).save(folder / part)
    for part in ("train/good/Thumbs.db", "train/good/._0.png", "test/hole/.DS_Store", "test/readme.txt"):
        (folder / part).write_bytes(b"no image")
    (folder / "test" / "empty").mkdir()
    view = memory_bank._view(folder, images=0, folder=tmp_path / "views")
    normal, kinds = listed(view)
    assert [path.name for path in normal] == ["0.png", "1.png", "2.png", "3.png", "4.png"]
    names = {kind: [path.name for path in paths] for kind, paths in kinds.items()}
    assert names == {"good": ["0.png", "1.png"], "hole": ["0.png", "1.png", "first__0.PNG", "second__0.PNG"]}
    assert of_kinds(kinds).labels.tolist() == [0, 0, 1, 1, 1, 1]
    assert (view / "test/hole/second__0.PNG").resolve() == folder / "test/hole/second/0.PNG"


def test_the_peer_keeps_all_training_images_where_test_has_no_normal_ones(folder):
    shutil.rmtree(folder / "test" / "good")
    data = _data(folder)
    data.setup()
    assert (len(data.train_data), len(data.test_data)) == (5, 2)


def test_figures_and_arrays_come_back_from_a_side(tmp_path):
    memory_bank._keep({"fit_s": 1.5, "auroc": None, "bank": np.eye(2)}, tmp_path / "ours.npz")
    with np.load(tmp_path / "ours.npz") as kept:
        assert str(kept["figures"]) == '{"fit_s": 1.5, "auroc": null}'
        assert np.array_equal(kept["bank"], np.eye(2))
