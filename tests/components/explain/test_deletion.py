"""A detector that counts bright pixels, with a map that says where they are and with one that does not."""

import numpy as np
import pytest

from components.core.contracts import Scores
from components.explain.deletion import DRAWS, LARGEST, LEAST, MOST, Deletion, deletion, judge, worth_testing
from components.explain.filling import NormalImages, elsewhere, marked_region
from components.testing.records import a_calibration

THRESHOLD = 2.0


class Images:
    """Samples held in a list."""

    def __init__(self, items: list[np.ndarray]) -> None:
        self.items = items
        self.labels = np.zeros(len(items), dtype=np.int8)
        self.ids = [f"{number:064x}" for number in range(len(items))]

    def __len__(self) -> int:
        return len(self.items)

    def take(self, indices) -> list[np.ndarray]:
        return [self.items[index] for index in indices]


class Bright:
    """Score: bright pixels, in hundreds. Map: the same, of each block of 8 x 8 pixels, times `share`."""

    def score(self, batch) -> Scores:
        return Scores(image=np.array([(image[..., 0] > 200).sum() / 100 for image in batch], dtype=np.float64))

    def explain(self, batch) -> np.ndarray:
        bright = np.stack([image[..., 0] > 200 for image in batch])
        blocks = bright.reshape(len(bright), bright.shape[1] // 8, 8, bright.shape[2] // 8, 8).sum(axis=(2, 4))
        return blocks.astype(np.float32) / 10


class Elsewhere(Bright):
    """As bright a map, at a random place of each image."""

    def explain(self, batch) -> np.ndarray:
        maps = super().explain(batch)
        rng = np.random.default_rng(int(batch[0].sum()))
        return np.stack([elsewhere(heat, rng=rng) for heat in maps])


def _normal(seed: int, height: int = 96, width: int = 128) -> np.ndarray:
    return np.random.default_rng(seed).normal(110, 20, size=(height, width, 3)).clip(0, 190).astype(np.uint8)


def _anomalous(seed: int) -> np.ndarray:
    image = _normal(seed)
    top, left = np.random.default_rng(seed).integers(0, 64, size=2)
    image[top : top + 24, left : left + 24] = 250
    return image


NORMAL = NormalImages(Images([_normal(seed) for seed in range(100, 104)]), range(4))


def _tests(detector: Bright, count: int) -> list[Deletion]:
    found = []
    for seed in range(count):
        image = _anomalous(seed)
        heat = detector.explain([image])[0]
        one = deletion(detector, image, heat, normal=NORMAL, threshold=THRESHOLD, seed=seed)
        assert one is not None
        found.append(one)
    return found


def test_a_map_of_the_bright_pixels_passes() -> None:
    found = _tests(Bright(), 8)
    assert all(one.score == pytest.approx(5.76) for one in found)
    assert all(one.marked < 0.5 and len(one.random) == DRAWS for one in found)
    check = judge(found, usual=0.0, seed=0)
    assert (check.name, check.status, check.limit) == ("heat_map_deletion", "met", 0.0)
    assert check.low is not None
    assert check.value is not None
    assert 0.5 < check.low < check.value <= 1.0
    assert "in 8 of 8 images" in check.detail


def test_a_map_of_random_places_fails() -> None:
    check = judge(_tests(Elsewhere(), 12), usual=0.0, seed=0)
    assert check.status == "failed"
    assert check.value == pytest.approx(0.0, abs=0.2)


def test_judged_by_hand() -> None:
    def one(marked: float, *random: float) -> Deletion:
        blank = np.zeros((2, 2, 3), np.uint8)
        return Deletion(score=5.0, marked=marked, random=random, area=0.1, pictures=(blank, blank))

    # Of the excess of 4 over the usual 1: marked takes 3 of it, random ones 1 on average; what raises counts as 0.
    check = judge([one(2.0, 3.0, 9.0)] * 5, usual=1.0, seed=0)
    assert (check.value, check.low, check.high, check.status) == (0.5, 0.5, 0.5, "met")
    assert "75.0%" in check.detail
    assert "25.0%" in check.detail
    # A filling that raises the score elsewhere is no merit of a map that does nothing.
    assert judge([one(5.0, 9.0)] * 5, usual=1.0, seed=0).status == "failed"
    assert judge([one(2.0, 5.0)] * (LEAST - 1), usual=1.0, seed=0).status == "unmeasured"
    assert judge([one(2.0, 5.0)] * 5, usual=5.0, seed=0).status == "unmeasured"


@pytest.mark.parametrize("images", [5, 8])
def test_maps_that_mark_at_random_hardly_ever_pass(images: int) -> None:
    blank = np.zeros((2, 2, 3), np.uint8)
    rng = np.random.default_rng(0)

    def passes() -> bool:
        drops = rng.uniform(0, 2, size=(images, 2))
        found = [
            Deletion(score=5.0, marked=5.0 - marked, random=(5.0 - other,), area=0.1, pictures=(blank, blank))
            for marked, other in drops
        ]
        return judge(found, usual=1.0, seed=0).status == "met"

    assert np.mean([passes() for _ in range(1_000)]) < 0.045


def test_most_anomalous_are_tested() -> None:
    calibration = a_calibration(threshold=2.0)
    assert worth_testing(np.array([1.0, 3.0, 0.5, 2.5, 1.5, 0.1]), calibration) == [1, 3, 4, 0, 2]
    assert worth_testing(np.arange(100.0), calibration) == list(range(99, 99 - MOST, -1))
    assert worth_testing(np.array([1.0]), calibration) == [0]


def test_marked_region_by_hand() -> None:
    heat = np.zeros((10, 10), np.float32)
    heat[2, 3], heat[2, 4], heat[7, 7] = 4.0, 1.8, 3.0
    region = marked_region(heat, threshold=2.5, largest=LARGEST)
    assert region is not None
    assert np.argwhere(region).tolist() == [[2, 3], [7, 7]]
    below = marked_region(heat, threshold=9.0, largest=LARGEST)  # nothing is outlined: above half of the maximum
    assert below is not None
    assert np.argwhere(below).tolist() == [[2, 3], [7, 7]]
    wide = marked_region(np.arange(100, dtype=np.float32).reshape(10, 10), threshold=1.0, largest=LARGEST)
    assert wide is not None
    assert wide.sum() == 25
    assert wide[7, 6:].all()
    assert marked_region(np.ones((4, 4), np.float32), threshold=0.5, largest=LARGEST) is None


def test_regions_elsewhere_keep_their_size() -> None:
    region = np.zeros((12, 20), bool)
    region[1:3, 2:9] = True
    region[3, 2] = True
    places = {elsewhere(region, rng=np.random.default_rng(seed)).tobytes() for seed in range(30)}
    assert len(places) > 20
    assert all(np.frombuffer(place, bool).sum() == 15 for place in places)


def test_filling_takes_the_most_alike_image_and_leaves_the_rest() -> None:
    dark, light = np.full((64, 96, 3), 60, np.uint8), np.full((64, 96, 3), 160, np.uint8)
    image = np.full((64, 96, 3), 158, np.uint8)
    image[20:30, 40:50] = 255
    region = np.zeros((32, 48), bool)
    region[10:15, 20:25] = True
    before = image.copy()
    filled = NormalImages(Images([dark, light]), [0, 1]).fill(image, region)
    assert (image == before).all()
    assert (filled[20:30, 40:50] == 160).all()
    assert (filled[:14] == 158).all()
    assert (filled[:, :32] == 158).all()
    # An image of another size is brought to this one's.
    assert NormalImages(Images([np.full((32, 32, 3), 9, np.uint8)]), [0]).fill(image, region)[25, 45, 0] == 9
