import numpy as np
import pytest
import torch
from torch.nn import functional

from components.models.grids import bicubic, resampled


@pytest.mark.parametrize("pooling", [1, 3])
@pytest.mark.parametrize("shape", [(5, 7), (10, 14), (11, 7), (20, 20)])
def test_it_is_what_torch_makes(shape, pooling):
    rng = np.random.default_rng(0)
    layers = [rng.normal(size=size).astype(np.float32) for size in ((5, 7, 6), (10, 3, 2))]
    expected = []
    for layer in layers:
        whole = torch.from_numpy(layer).permute(2, 0, 1)[None]
        pooled = functional.avg_pool2d(whole, pooling, 1, pooling // 2, count_include_pad=False)
        stretched = functional.interpolate(pooled, shape, mode="bilinear", align_corners=False)
        expected.append(stretched[0].permute(1, 2, 0).numpy())
    found = resampled(layers, shape=shape, pooling=pooling)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.concatenate(expected, axis=2), atol=1e-6)


@pytest.mark.parametrize(("old", "new"), [(37, 28), (37, 8), (5, 12), (4, 4)])
def test_bicubic_is_what_torch_makes(old, new):
    values = np.random.default_rng(0).normal(size=(3, old)).astype(np.float32)
    stretched = torch.from_numpy(values)[None, :, :, None].expand(-1, -1, -1, old)
    expected = functional.interpolate(stretched, (new, new), mode="bicubic", align_corners=False)[0, :, :, 0].numpy()
    np.testing.assert_allclose(values @ bicubic(old, new).T, expected, atol=1e-5)
