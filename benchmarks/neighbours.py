"""The bank's two ways to find nearest neighbours beside FAISS' exact index, by the size of the bank.

    python -m benchmarks.neighbours [--banks 1000 4000 8000 20000] [--neighbours 1] [--json]

Banks are coresets of the memory bank's patches of a photograph's cuts; queries are the patches of 8 other cuts. Printed
are milliseconds for each cut (1024 patches), the best of three, all processors in use: `product` compares with the
whole bank, `sketched` rules parts of it out, `ours` is the one of the two that the bank takes by its size. All are
exact; `apart` is the largest relative difference between our distances and FAISS'.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.growth import Gravel
from components.core.ports import batches
from components.models import nearest
from components.models.coreset import k_centres
from components.models.nearest import Bank

BANKS = (1000, 4000, 8000, 20_000)
_CUTS, _ASKED = 40, 8

Floats = NDArray[np.float32]


def patches() -> tuple[Floats, Floats]:
    """Of training cuts ``(P, C)``, and of others ``(Q, C)``."""
    from components.models import registry

    detector: Any = registry.create("memory-bank", {"image_size": 256, "stages": "2-3", "pooling": 3}, schema=None)
    found = [one for batch in batches(Gravel(_CUTS + _ASKED, side=256), size=8) for one in detector._patches(batch)]
    return np.concatenate(found[:_CUTS]), np.concatenate(found[_CUTS:])


def measure(bank: Floats, queries: Floats, *, neighbours: int) -> dict[str, float]:
    """Milliseconds a cut of each way, and how far apart FAISS is."""
    import faiss

    index = faiss.IndexFlatL2(bank.shape[1])
    index.add(bank)
    ways = {"product": _bank(bank, cut_from=len(bank) + 1), "sketched": _bank(bank, cut_from=0)}
    taken = "sketched" if len(bank) >= nearest._CUT_FROM else "product"
    times = {name: _best(partial(one.nearest, queries, neighbours=neighbours)) for name, one in ways.items()}
    times["faiss"] = _best(lambda: index.search(queries, neighbours))
    ours = ways[taken].nearest(queries, neighbours=neighbours)[0]
    theirs = np.sqrt(np.maximum(index.search(queries, neighbours)[0], 0))
    apart = float((np.abs(ours - theirs) / np.maximum(ours, 1e-9)).max())
    return {**times, "ours": times[taken], "apart": apart}


def _bank(patches: Floats, *, cut_from: int) -> Bank:
    """A bank that searches in one way whatever its size; what it needs for that is made."""
    before = nearest._CUT_FROM
    nearest._CUT_FROM = cut_from
    try:
        bank = Bank(patches)
        bank.nearest(patches[:1], neighbours=1)
    finally:
        nearest._CUT_FROM = before
    return bank


def _best(act: Callable[[], Any]) -> float:
    times = []
    for _ in range(3):
        started = time.perf_counter()
        act()
        times.append(time.perf_counter() - started)
    return 1000 * min(times) / _ASKED


def main() -> None:
    """Print the table, or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--banks", type=int, nargs="+", default=BANKS, help=f"sizes; at most {_CUTS * 1024}")
    parser.add_argument("--neighbours", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    training, queries = patches()
    rows = {}
    for count in given.banks:
        chosen = k_centres(training, count=count, rng=np.random.default_rng(0)).chosen
        rows[count] = measure(training[chosen], queries, neighbours=given.neighbours)
    if given.json:
        sides: dict[str, dict[int, float]] = {
            "ours": {count: row["ours"] for count, row in rows.items()},
            "peer": {count: row["faiss"] for count, row in rows.items()},
            "ratio": {count: row["faiss"] / row["ours"] for count, row in rows.items()},
        }
        print(json.dumps(sides))
        return
    print(f"{'bank':>8}{'product':>10}{'sketched':>10}{'ours':>10}{'faiss':>10}{'apart':>10}")
    for count, row in rows.items():
        print(
            f"{count:>8}" + "".join(f"{row[n]:>10.2f}" for n in ("product", "sketched", "ours", "faiss"))
            + f"{row['apart']:>10.1e}"
        )  # fmt: skip


if __name__ == "__main__":
    main()
