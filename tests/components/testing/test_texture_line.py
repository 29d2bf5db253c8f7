"""The image line of the demo: layout, masks, light, and that train and test stones differ."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import roc_auc_score

from components.core.errors import ConfigError
from components.core.seeds import generator
from components.testing import texture_line
from components.testing.texture_defects import DEFECTS
from components.testing.texture_line import read_photograph, write_batch


def pixels(path: Path) -> NDArray[np.float64]:
    with Image.open(path) as image:
        return np.asarray(image, dtype=np.float64)


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two batches side by side, as the demo writes them."""
    folder = tmp_path_factory.mktemp("texture") / "line"
    write_batch(folder, batch=1, seed=3, size=96, train_images=16, test_good=4, test_bad=8)
    write_batch(folder, batch=2, seed=3, size=96, train_images=16, test_good=2, test_bad=4)
    return folder


def test_layout_is_that_of_mvtec(line: Path) -> None:
    assert sorted(path.name for path in line.parent.iterdir()) == ["line"]
    assert sorted(path.name for path in line.iterdir()) == ["ground_truth", "test", "train"]
    assert sorted(path.name for path in (line / "test").iterdir()) == sorted([*DEFECTS, "good"])
    assert len(list((line / "train" / "good").glob("b1-*.png"))) == 16
    assert len(list((line / "train" / "good").glob("b2-*.png"))) == 16
    assert len(list((line / "test" / "good").iterdir())) == 4 + 2
    for kind in DEFECTS:
        names = {path.stem for path in (line / "test" / kind).iterdir()}
        assert len(names) == 2 + 1
        assert {path.name for path in (line / "ground_truth" / kind).iterdir()} == {
            f"{name}_mask.png" for name in names
        }


def test_pictures_are_colour_of_the_size_asked_for_and_all_different(line: Path) -> None:
    pictures = [path for path in line.rglob("*.png") if "ground_truth" not in path.parts]
    assert {pixels(path).shape for path in pictures} == {(96, 96, 3)}
    assert len({path.read_bytes() for path in pictures}) == len(pictures)


def test_same_arguments_write_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        write_batch(tmp_path / name, batch=1, seed=seed, size=64, train_images=2, test_good=1, test_bad=4)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    assert tree(tmp_path / "a").keys() == tree(tmp_path / "c").keys()
    assert tree(tmp_path / "a") != tree(tmp_path / "c")


def test_a_second_batch_leaves_the_first_as_it_is(tmp_path: Path) -> None:
    write_batch(tmp_path, batch=1, seed=5, size=64, train_images=2, test_good=1, test_bad=1)
    first = tree(tmp_path)
    write_batch(tmp_path, batch=2, seed=5, size=64, train_images=2, test_good=1, test_bad=1)
    assert first.items() < tree(tmp_path).items()


def test_masks_hold_0_and_255_and_cover_a_small_part(line: Path) -> None:
    for path in (line / "ground_truth").rglob("*.png"):
        mask = pixels(path)
        assert set(np.unique(mask)) == {0, 255}
        assert 0.0005 < (mask > 0).mean() < 0.25, path


@pytest.mark.parametrize("kind", DEFECTS)
def test_a_mask_marks_where_its_defect_changed_the_picture(kind: str) -> None:
    plain = np.full((160, 160, 3), 0.5)
    for seed in range(5):
        changed, mask = DEFECTS[kind](plain, generator(seed))
        change = np.abs(changed - plain).max(axis=2)
        assert mask.any()
        assert change[mask].mean() > 20 * change[~mask].mean()
    assert (plain == 0.5).all()


def test_light_is_steady_in_batch_1_and_ages_part_way_in_batch_2(line: Path) -> None:
    def brightness(batch: int) -> NDArray[np.float64]:
        return np.array([pixels(path).mean() for path in sorted((line / "train" / "good").glob(f"b{batch}-*.png"))])

    def redness(batch: int) -> NDArray[np.float64]:
        paths = sorted((line / "train" / "good").glob(f"b{batch}-*.png"))
        return np.array([pixels(path)[..., 0].mean() / pixels(path)[..., 2].mean() for path in paths])

    steady = brightness(1)
    # Stones differ in brightness by some percent from cut to cut; their colour does not.
    assert abs(steady[:8].mean() / steady[8:].mean() - 1) < 0.1
    assert abs(brightness(2)[:4].mean() / steady.mean() - 1) < 0.1
    assert brightness(2)[-4:].mean() < 0.82 * steady.mean()
    assert abs(redness(2)[:4].mean() / redness(1).mean() - 1) < 0.01
    assert redness(2)[-4:].mean() > 1.06 * redness(1).mean()
    assert np.ptp(redness(1)) < 0.05


def test_train_and_test_pictures_come_from_disjoint_columns(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # A photograph that is dark where train pictures are cut and bright where test pictures are.
    halves = np.full((512, 512), 60, np.uint8)
    halves[:, 340:] = 180
    monkeypatch.setattr(texture_line, "read_photograph", lambda: Image.fromarray(halves))
    write_batch(tmp_path, batch=1, seed=0, size=192, train_images=30, test_good=30, test_bad=0)
    # Bicubic sampling may reach two columns beyond the seam; the pictures' edges then differ, their middles never do.
    assert max(np.median(pixels(path)) for path in (tmp_path / "train" / "good").iterdir()) < 90
    assert max(pixels(path)[8:-8, 8:-8].max() for path in (tmp_path / "train" / "good").iterdir()) < 110
    assert min(pixels(path)[8:-8, 8:-8].min() for path in (tmp_path / "test" / "good").iterdir()) > 110


def test_the_photograph_is_in_the_installed_package() -> None:
    photograph = read_photograph()
    assert (photograph.size, photograph.mode) == ((512, 512), "L")


@pytest.mark.parametrize("size", [63, 193])
def test_a_size_that_does_not_fit_is_refused_before_anything_is_written(size: int, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=str(size)):
        write_batch(tmp_path / "line", batch=1, seed=0, size=size)
    assert not (tmp_path / "line").exists()


def test_brightness_and_contrast_do_not_give_the_defects_away(tmp_path: Path) -> None:
    write_batch(tmp_path, batch=1, seed=0, size=96, train_images=0, test_good=24, test_bad=24)
    good = [pixels(path) for path in sorted((tmp_path / "test" / "good").iterdir())]
    bad = [pixels(path) for kind in DEFECTS for path in sorted((tmp_path / "test" / kind).iterdir())]
    for measure in (np.mean, np.std, np.max, np.min):
        figures = [measure(picture) for picture in good + bad]
        assert 0.2 < roc_auc_score([0] * len(good) + [1] * len(bad), figures) < 0.8, measure
