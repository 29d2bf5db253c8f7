"""What PyOD's detectors learn, as plain arrays; the only importer of pyod.

Scoring is in `baselines` and `neighbours`: arrays need no pickle, stay readable when PyOD or scikit-learn move on, and
make a sample's score its own (PyOD's ECOD scores a sample by the ones that come with it).
"""

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]
Arrays = dict[str, NDArray[np.float64]]


def ecod(rows: Rows) -> Arrays:
    """``(N, F)`` columns, each sorted, and ``(F,)`` the sign of each one's skewness (Li et al. 2022, section 3)."""
    from pyod.models.ecod import ECOD, skew

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a constant column has no skewness: 0 stands in
        learned = ECOD().fit(rows).X_train
        return {"sorted": np.sort(learned, axis=0), "skewness": np.sign(skew(learned))}


def isolation_forest(rows: Rows, *, trees: int, subsample: int, seed: int) -> Arrays:
    """The nodes of all trees behind each other; a leaf is its own child (Liu, Ting & Zhou 2008).

    ``root`` (T,) where each tree starts; ``left``, ``right``, ``feature``, ``limit`` (K,) of each node; ``path`` (K,):
    steps from the root and, at a leaf, the expected further ones (their equation 1); ``usual`` (1,): the expected path
    of a sample; ``depth`` (1,): the longest.
    """
    from pyod.models.iforest import IForest

    size = min(subsample, len(rows))
    forest = IForest(n_estimators=trees, max_samples=size, random_state=seed).fit(rows)
    parts = [_nodes(tree.tree_) for tree in forest.estimators_]
    starts = np.cumsum([0, *(len(part["path"]) for part in parts)])[:-1]
    for part, start in zip(parts, starts, strict=True):
        part["left"] += start
        part["right"] += start
    joined = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    depth = max(tree.tree_.max_depth for tree in forest.estimators_)
    usual = np.array([_expected(size)])
    return {**joined, "root": starts.astype(np.float64), "usual": usual, "depth": np.array([float(depth)])}


def lof(rows: Rows, *, neighbours: int) -> Arrays:
    """``(N, F)`` the rows, ``reach`` (N,) their k-distances and ``density`` (N,) (Breunig et al. 2000, section 4)."""
    from pyod.models.lof import LOF

    # A tree looks at every row, too, once there are tens of columns, one by one: 5,000 of 228 took 14 times as long.
    model = LOF(n_neighbors=neighbours, algorithm="brute").fit(rows).detector_
    reach = model._distances_fit_X_[:, model.n_neighbors_ - 1]
    return {"rows": rows.copy(), "reach": reach.astype(np.float64), "density": model._lrd.astype(np.float64)}


def _nodes(tree: Any) -> Arrays:
    """Arrays of one of scikit-learn's trees, whose parents come before their children."""
    left, right = np.array(tree.children_left), np.array(tree.children_right)
    own = np.arange(len(left))
    leaf = left < 0
    depth = np.zeros(len(left))
    for node in own[~leaf]:
        depth[left[node]] = depth[right[node]] = depth[node] + 1
    further = np.array([_expected(int(count)) for count in tree.n_node_samples])
    return {
        "left": np.where(leaf, own, left).astype(np.float64),
        "right": np.where(leaf, own, right).astype(np.float64),
        "feature": np.where(leaf, 0, tree.feature).astype(np.float64),
        "limit": np.asarray(tree.threshold, dtype=np.float64).copy(),
        "path": depth + np.where(leaf, further, 0.0),
    }


def _expected(count: int) -> float:
    """Expected path of an unsuccessful search among `count` samples in a binary tree."""
    if count <= 2:
        return max(0.0, count - 1.0)
    return 2 * (math.log(count - 1) + float(np.euler_gamma)) - 2 * (count - 1) / count
