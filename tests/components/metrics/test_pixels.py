import numpy as np
import pytest
from skimage.measure import label
from sklearn.metrics import roc_auc_score

from components.metrics import pixels
from components.metrics.pixels import PixelCounts, pixel_intervals


def draw(seed, count=6, side=40):
    """Maps and masks of different sizes; the first half has two regions each."""
    random = np.random.default_rng(seed)
    masks = [np.zeros((side, side + i), bool) for i in range(count)]
    for mask in masks[: count // 2]:
        mask[3:9, 4:12] = mask[20:30, 20:25] = True
    return [(random.normal(size=m.shape) + 1.5 * m).astype(np.float32) for m in masks], masks


def from_the_definition(maps, masks, limit=0.3):
    """AUPRO with every distinct value a threshold."""
    parts = [label(mask, connectivity=2) for mask in masks]
    regions = [(i, part == number) for i, part in enumerate(parts) for number in range(1, part.max() + 1)]
    normal = np.concatenate([heat[~mask] for heat, mask in zip(maps, masks, strict=True)])
    x, y = [0.0], [0.0]
    for threshold in np.unique(np.concatenate([heat.ravel() for heat in maps]))[::-1]:
        x.append(float(np.mean(normal >= threshold)))
        y.append(float(np.mean([np.mean(maps[i][region] >= threshold) for i, region in regions])))
    fine = np.linspace(0, limit, 100_001)
    return float(np.trapezoid(np.interp(fine, x, y), fine) / limit)


def test_agrees_with_the_definitions():
    maps, masks = draw(0)
    found = pixel_intervals(PixelCounts.of(maps, masks), seed=0)
    flat = np.concatenate([mask.ravel() for mask in masks]), np.concatenate([heat.ravel() for heat in maps])
    assert found["aupro"].value == pytest.approx(from_the_definition(maps, masks), abs=2e-3)
    assert found["pixel_auroc"].value == pytest.approx(roc_auc_score(*flat), abs=1e-4)


def test_perfect_maps():
    _, masks = draw(0)
    found = pixel_intervals(PixelCounts.of([mask.astype(np.float32) for mask in masks], masks), seed=0)
    assert found["pixel_auroc"].value == found["aupro"].value == 1


def test_intervals_hold_the_values_and_repeat():
    counts = PixelCounts.of(*draw(1))
    found = pixel_intervals(counts, seed=0)
    for metric in found.values():
        assert metric.low <= metric.value <= metric.high
        assert metric.n == 6
    assert found == pixel_intervals(counts, seed=0)


@pytest.mark.parametrize("marked", [1.0, 0.5])
def test_masks_of_whole_images_leave_finite_figures_or_none(marked):
    masks = [np.ones((8, 8), bool), np.arange(64).reshape(8, 8) < 64 * marked]
    maps = [np.random.default_rng(seed).random((8, 8)).astype(np.float32) for seed in range(2)]
    for metric in pixel_intervals(PixelCounts.of(maps, masks), seed=0).values():
        if marked == 1:
            assert (metric.value, metric.note) == (None, "no test image has a normal pixel")
        else:
            assert metric.low <= metric.value <= metric.high


def test_images_of_one_group_count_as_one():
    maps, masks = draw(4, count=12)
    one = pixel_intervals(PixelCounts.of(maps, masks), seed=0)
    same = pixel_intervals(PixelCounts.of(maps * 6, masks * 6), seed=0, groups=np.tile(np.arange(12), 6).astype(str))
    apart = pixel_intervals(PixelCounts.of(maps * 6, masks * 6), seed=0)
    for name, metric in one.items():
        assert same[name].high - same[name].low == pytest.approx(metric.high - metric.low, rel=0.1)
        assert apart[name].high - apart[name].low < 0.5 * (metric.high - metric.low)


def test_of_a_single_defect_s_image_nothing_is_known():
    maps, masks = draw(5, count=6)
    found = pixel_intervals(PixelCounts.of(maps[2:], masks[2:]), seed=0)
    assert [(metric.low, metric.high) for metric in found.values()] == [(0, 1), (0, 1)]


def test_without_a_mask_there_is_no_value():
    found = pixel_intervals(PixelCounts.of([np.ones((4, 4), np.float32)], [np.zeros((4, 4), bool)]), seed=0)
    assert found["aupro"].value is None
    assert found["pixel_auroc"].note


def test_maps_are_gone_through_a_few_times_however_many_there_are():
    class Counted(list):
        times = 0

        def __iter__(self):
            self.times += 1
            return super().__iter__()

    maps, masks = draw(2, count=20)
    counted = Counted(maps)
    PixelCounts.of(counted, masks)
    assert counted.times < 5


def test_a_quiet_border_is_not_all_that_is_seen_of_many_maps(monkeypatch):
    maps, masks = draw(3, count=16)
    maps, masks = [heat[:, :40] for heat in maps], [mask[:, :40] for mask in masks]
    for heat in maps:
        heat[:, :2] = heat.min()
    whole = pixel_intervals(PixelCounts.of(maps, masks), seed=0)
    monkeypatch.setattr(pixels, "_EDGE_SAMPLES", 16 * 40)  # a step is as long as a row
    found = pixel_intervals(PixelCounts.of(maps, masks), seed=0)
    for name in whole:
        assert found[name].value == pytest.approx(whole[name].value, abs=0.02)
