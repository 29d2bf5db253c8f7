"""PyOD's detectors: the arrays score as PyOD does, and what cannot be learned from is refused."""

import numpy as np
import pandas as pd
import pytest

from components.core.contracts import Column, TableSchema
from components.core.errors import ModelError
from components.models import registry
from components.models.encoding import TableEncoder
from components.samples.windows import cut, window_starts


def reference(name, seed):
    """PyOD's own detector with the defaults of ours."""
    if name == "ecod":
        from pyod.models.ecod import ECOD

        return ECOD()
    if name == "knn":
        from pyod.models.knn import KNN

        return KNN(n_neighbors=5, algorithm="ball_tree")
    if name == "lof":
        from pyod.models.lof import LOF

        return LOF(n_neighbors=20, algorithm="ball_tree")
    from pyod.models.iforest import IForest

    return IForest(n_estimators=30, max_samples=64, random_state=seed)


@pytest.mark.parametrize("name", ["ecod", "isolation-forest", "knn", "lof"])
def test_the_arrays_score_as_pyod_does(name, cases, fitted_once, make_rows):
    from components.core.seeds import derive_seed

    case = cases[name]
    encoder = TableEncoder.fit(case.normal, case.schema)
    theirs = reference(name, derive_seed(0, name)).fit(encoder.encode(case.normal))
    fresh = np.concatenate([make_rows(7, 60), case.anomalous])
    rows = encoder.encode(fresh)
    if name == "ecod":
        # Alone, so that the others of the batch have no say.
        expected = np.concatenate([theirs.decision_function(row[None]) for row in rows])
    elif name == "isolation-forest":
        expected = -theirs.detector_.score_samples(rows)
    else:
        expected = theirs.decision_function(rows)
    np.testing.assert_allclose(fitted_once(name).score(fresh).image, expected, rtol=1e-9)


def test_ecod_by_hand(listed, cases):
    made = registry.create("ecod", {}, schema=cases["ecod"].schema)
    windows = np.zeros((9, 1, 3))
    windows[:, 0, 0] = np.arange(9) - 4.0
    made.fit(listed(windows), seed=0)
    # Flow is symmetric, so both tails add up: 0 has 6 of 10 on either side. What never varies adds nothing.
    assert made.score(np.zeros((1, 1, 3))).image[0] == pytest.approx(-2 * np.log(0.6))


@pytest.mark.parametrize("name", ["ecod", "isolation-forest", "knn", "lof", "deepsad"])
@pytest.mark.parametrize("count", [1, 50])
def test_one_row_and_equal_rows_are_refused_and_leave_nothing(name, count, cases, listed, tmp_path):
    made = cases[name].make()
    with pytest.raises(ModelError, match="one normal sample" if count == 1 else "constant"):
        made.fit(listed(np.ones((count, 1, 3))), seed=0)
    with pytest.raises(ModelError, match="not fitted"):
        made.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("name", ["knn", "deepsad"])
def test_a_window_longer_than_the_data_is_one_window_and_is_refused(name, listed):
    schema = TableSchema(features=(Column(name="flow", kind="numeric"),), window=50)
    frame = pd.DataFrame({"flow": np.arange(5.0)})
    windows = cut(frame.to_numpy(), window_starts(frame, schema), window=50)
    made = registry.create(name, {}, schema=schema)
    with pytest.raises(ModelError, match="one normal sample among 1"):
        made.fit(listed(windows), seed=0)


@pytest.mark.parametrize("name", ["knn", "lof"])
def test_more_neighbours_than_rows_means_all_rows(name, cases, listed, make_rows):
    made = cases[name].make(neighbours=100)
    made.fit(listed(make_rows(0, 20)), seed=0)
    assert np.isfinite(made.score(make_rows(1, 5)).image).all()


@pytest.mark.parametrize("name", ["ecod", "isolation-forest", "knn", "lof"])
def test_missing_infinite_and_unknown_values_score_finitely(name, fitted_once):
    strange = np.array([[[10.0, 20.0, -1.0]], [[np.nan, np.nan, np.nan]], [[np.inf, -np.inf, 0.0]]])
    assert np.isfinite(fitted_once(name).score(strange).image).all()
    assert fitted_once(name).score(strange[:0]).image.shape == (0,)


def test_training_rows_are_bounded(cases, listed, make_rows):
    made = cases["knn"].make(max_samples=100)
    made.fit(listed(make_rows(0, 300)), seed=0)
    assert len(made._learned["rows"]) == 100


def test_a_search_over_tables_always_tries_them():
    from components.core.contracts import Modality

    names = registry.portfolio("", modality=Modality.TABLE, labels=False, synthetic=True)
    assert names[0] == "deepsad"
    assert registry.baselines(names) == ("ecod", "isolation-forest", "knn", "lof")
