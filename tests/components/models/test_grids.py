import numpy as np
import pytest
import torch
from torch.nn import functional

from components.models.grids import resampled


@pytest.mark.parametrize("pooling", [1, 3])
@pytest.mark.parametrize("shape", [(5, 7), (10, 14), (11, 7), (20, 20)])
def test_it_is_what_torch_makes(shape, pooling):
    layer = np.random.default_rng(0).normal(size=(6, 5, 7)).astype(np.float32)
    pooled = functional.avg_pool2d(torch.from_numpy(layer)[None], pooling, 1, pooling // 2, count_include_pad=False)
    expected = functional.interpolate(pooled, shape, mode="bilinear", align_corners=False)[0].numpy()
    found = resampled(layer, shape=shape, pooling=pooling)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
