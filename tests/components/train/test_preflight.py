"""Memory is estimated before a fit, and refused with the figures where there is not enough."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from components.core.errors import ModelError
from components.models import registry
from components.models.feature_memo import remembered, remembering
from components.train import fitting, preflight

ROOT = Path(__file__).parents[3]

_PEAK = """
import json, re, sys
from pathlib import Path
import numpy as np, psutil
from components.models import coreset, registry

class Noise:
    ids, labels = [str(n) for n in range(25)], np.zeros(25, np.int8)
    def __len__(self):
        return 25
    def take(self, indices):
        return [np.random.default_rng(i).integers(0, 255, (64, 64, 3)).astype(np.uint8) for i in indices]

detector = registry.create("memory-bank", json.loads(sys.argv[1]), schema=None)
needed = detector.memory_needed(Noise())
before = psutil.Process().memory_info().rss
detector.fit(Noise(), seed=0)
# `getrusage` would answer with the peak of the process that started this one, where that is higher.
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024
print(json.dumps([needed, peak - before]))
"""


class Blank:
    """So many images, of which one is ever looked at."""

    def __init__(self, count: int, side: int = 256) -> None:
        self.ids, self.labels, self._side = ["0" * 64] * count, np.zeros(count, np.int8), side

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices):
        assert len(indices) == 1
        return [np.zeros((self._side, self._side, 3), np.uint8) for _ in indices]


def test_the_estimate_is_near_the_peak_of_a_process():
    params = json.dumps({"image_size": 384, "stages": "2-3", "coreset_ratio": 0.0005})
    arguments = [sys.executable, "-c", _PEAK, params]
    printed = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    needed, peak = json.loads(printed)
    assert 1 / 1.5 < needed / peak < 1.5


@pytest.mark.parametrize("name", ["memory-bank", "gaussian", "dino-memory", "reference", "ensemble"])
def test_20_000_images_of_256_pixels_fit_in_8_gb_by_default(name):
    assert registry.create(name, {}, schema=None).memory_needed(Blank(20_000)) < 8e9


def test_more_of_everything_needs_more():
    def needed(count: int = 500, side: int = 256, **params) -> float:
        return registry.create("memory-bank", params, schema=None).memory_needed(Blank(count, side))

    assert needed(20_000) == needed(40_000)  # what is kept is bounded
    assert needed(100) < needed() < needed(max_patches=1_000_000, count=5_000)
    assert needed() < needed(coreset_ratio=0.2)
    assert needed() < needed(image_size=512)
    assert needed() < needed(tiles=2)
    assert needed() < needed(side=2_000)


def test_a_fit_that_would_not_fit_is_refused_before_it_starts(monkeypatch):
    monkeypatch.setattr(preflight, "free_memory", lambda: 0.2e9)
    with pytest.raises(ModelError, match=r"needs about \d\.\d\d GB of memory, 0\.20 GB are free\. Lower max_patches"):
        fitting.fit("memory-bank", params={}, schema=None, samples=Blank(5_000), seed=0)


@pytest.mark.parametrize(
    ("free", "held", "limit", "kept"),
    [(2e9, 0, 0.25e9, True), (1.3e9, 0, 0.7e9, False), (0.7e9, 0.5e9, 0.6e9, False), (0.2e9, 0.1e9, 0.3e9, True)],
)
def test_what_may_be_remembered_counts_and_is_given_up_where_that_helps(free, held, limit, kept, monkeypatch):
    monkeypatch.setattr(preflight, "free_memory", lambda: free)
    detector, samples = registry.create("memory-bank", {}, schema=None), Blank(5_000)
    assert 0.7e9 < detector.memory_needed(samples) < 1.2e9
    with remembering(limit):
        memo = remembered()
        memo.put("network", b"image", [np.zeros(int(held), np.uint8)])
        if free + held < 0.7e9:
            with pytest.raises(ModelError, match=r"0\.30 GB are free"):
                preflight.require_memory(detector, samples)
        else:
            preflight.require_memory(detector, samples)
        assert (memo.limit > 0, memo.held > 0) == (kept, kept and held > 0)


def test_a_control_groups_limit_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(preflight, "_GROUP", tmp_path)
    whole = preflight.free_memory()
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("900000\n")
    (tmp_path / "memory.stat").write_text("anon 500000\nfile 400000\n")
    assert preflight.free_memory() == 500_000 < whole
    (tmp_path / "memory.max").write_text("max\n")
    assert preflight.free_memory() > 500_000
