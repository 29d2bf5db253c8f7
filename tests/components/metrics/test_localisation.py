import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from components.metrics.localisation import aupro, localisation, pixel_auroc


def test_aupro_by_hand():
    # Ten normal pixels 0..9 tenths and two regions of one and two pixels. Thresholds falling from 1: region A (1.0) is
    # found at FPR 0; B's pixels at 0.85 and 0.65, after one and three of ten normal pixels.
    # PRO is 0.5 on FPR [0, 0.1]; at 0.1 it rises to 0.75 (0.85 found), stays to 0.3, where it rises to 1.
    # Area to 0.3 is 0.1 * 0.5 + 0.2 * 0.75 = 0.2 → 0.2 / 0.3.
    values = np.array([[0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 0.0, 0.85, 0.65]])
    mask = np.zeros((1, 14), int)
    mask[0, [10, 12, 13]] = 1
    values[0, 11], mask[0, 11] = -1.0, 0  # an eleventh normal pixel parts the regions
    # With eleven normal pixels the steps are at 1/11 and 3/11, and the last 0.3 - 3/11 has PRO 1.
    expected = (1 / 11 * 0.5 + 2 / 11 * 0.75 + (0.3 - 3 / 11)) / 0.3
    assert aupro([values], [mask]) == pytest.approx(expected)


def test_diagonal_pixels_are_one_region():
    mask = np.eye(2, dtype=int)
    values = np.array([[1.0, 0.5], [0.5, 0.0]])  # half of the one region found at once, the rest after all normal ones
    assert aupro([values], [mask]) == pytest.approx(0.5 + 0.25 * 0.3)


def exact_aupro(maps, masks, limit=0.3):
    """The same straight from the definition: every distinct value a threshold."""
    from skimage.measure import label

    regions = [
        one == number for one in map(lambda m: label(m, connectivity=2), masks) for number in range(1, one.max() + 1)
    ]
    owners = [i for i, m in enumerate(masks) for _ in range(label(m, connectivity=2).max())]
    normal = np.concatenate([a[m == 0] for a, m in zip(maps, masks, strict=True)])
    x, y = [0.0], [0.0]
    for threshold in np.unique(np.concatenate([a.ravel() for a in maps]))[::-1]:
        x.append(float(np.mean(normal >= threshold)))
        y.append(float(np.mean([np.mean(maps[i][r] >= threshold) for i, r in zip(owners, regions, strict=True)])))
    fine = np.linspace(0, limit, 200_001)
    return np.trapezoid(np.interp(fine, x, y), fine) / limit


def draw(seed, count=6, side=40):
    random = np.random.default_rng(seed)
    masks = [np.zeros((side, side + i), int) for i in range(count)]
    for mask in masks[: count // 2]:
        mask[3:9, 4:12] = 1
        mask[20:30, 20:25] = 1
    return [random.normal(size=m.shape).astype(np.float32) + 1.5 * m for m in masks], masks


def test_agrees_with_the_definition_on_images_of_different_sizes():
    maps, masks = draw(0)
    assert aupro(maps, masks) == pytest.approx(exact_aupro(maps, masks), abs=2e-3)
    flat = np.concatenate([m.ravel() for m in masks]), np.concatenate([a.ravel() for a in maps])
    assert pixel_auroc(maps, masks) == pytest.approx(roc_auc_score(*flat), abs=1e-4)


def test_intervals_hold_the_values():
    maps, masks = draw(1)
    found = localisation(maps, masks, seed=0)
    assert found["aupro"].value == aupro(maps, masks)
    assert found["pixel_auroc"].value == pixel_auroc(maps, masks)
    for metric in found.values():
        assert metric.low <= metric.value <= metric.high
        assert metric.n == 6
    assert found == localisation(maps, masks, seed=0)


@pytest.mark.parametrize("fill", [0, 1])
def test_one_class_has_no_value(fill):
    found = localisation([np.ones((4, 4))], [np.full((4, 4), fill)], seed=0)
    assert found["aupro"].value is None
    assert found["pixel_auroc"].value is None


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="1 maps and 2 masks"):
        aupro([np.ones((2, 2))], [np.ones((2, 2))] * 2)
    with pytest.raises(ValueError, match="not finite"):
        aupro([np.full((2, 2), np.nan)], [np.eye(2)])
