"""Cheap detectors: the arrays of PyOD's score as PyOD does, and what cannot be learned from is refused."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from components.core.contracts import Column, TableSchema
from components.core.errors import ModelError
from components.models import pyod_fit, registry
from components.models.baselines import SAME
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
    fresh = np.concatenate([make_rows(7, 60), case.anomalous])
    normal, rows = encoder.encode(case.normal), encoder.encode(fresh)
    if name == "isolation-forest":
        normal, rows = normal[:, : -encoder.gaps], rows[:, : -encoder.gaps]  # of which no tree asks
    theirs = reference(name, derive_seed(0, name)).fit(normal)
    if name == "ecod":
        # Alone, so that the others of the batch have no say.
        expected = np.concatenate([theirs.decision_function(row[None]) for row in rows])
    elif name == "isolation-forest":
        expected = -theirs.detector_.score_samples(rows)
    else:
        expected = theirs.decision_function(rows)
    within = fitted_once(name).batch_tolerance
    np.testing.assert_allclose(fitted_once(name).score(fresh).image, expected, rtol=within)


def test_lof_grows_no_tree_which_would_look_at_every_row_too(monkeypatch):
    tree = type("NoTree", (), {"__init__": lambda *_, **__: pytest.fail("a tree was grown")})
    monkeypatch.setattr("sklearn.neighbors._base.BallTree", tree)
    rows = np.random.default_rng(0).normal(size=(60, 30))
    rows[:30] = rows[0]  # repeated rows, whose distance the product rounds
    found = pyod_fit.lof(rows, neighbours=20)
    assert (found["reach"][:30] < SAME).all()
    assert (found["density"][:30] > 1 / SAME).all()


def test_ecod_by_hand(listed, cases):
    made = registry.create("ecod", {}, schema=cases["ecod"].schema)
    windows = np.zeros((9, 1, 3))
    windows[:, 0, 0] = np.arange(9) - 4.0
    made.fit(listed(windows), seed=0)
    # Flow is symmetric, so both tails add up: 0 has 6 of 10 on either side. What never varies adds nothing.
    assert made.score(np.zeros((1, 1, 3))).image[0] == pytest.approx(-2 * np.log(0.6))


def sensors(generator, count):
    """Three sensors that follow one load, the last of them the others' sum but for its resolution."""
    load = generator.normal(size=(count, 1))
    pair = load * [1.0, 2.0] + 0.05 * generator.normal(size=(count, 2))
    return np.concatenate([pair, pair.sum(axis=1, keepdims=True).round(2)], axis=1)[:, None]


PLAIN = TableSchema(features=tuple(Column(name=name, kind="numeric") for name in "abc"), window=1)


def test_mahalanobis_sees_what_breaks_a_relation_within_the_range_of_each_sensor(listed):
    rng = np.random.default_rng(0)
    normal, broken = sensors(rng, 200), sensors(rng, 20)
    broken[:, 0, 1:] += 0.4  # of deviations of 2 and 3
    found = {}
    for name in ("knn", "mahalanobis"):
        made = registry.create(name, {}, schema=PLAIN)
        made.fit(listed(sensors(rng, 500)), seed=0)
        scores = np.concatenate([made.score(normal).image, made.score(broken).image])
        found[name] = roc_auc_score(np.repeat([0, 1], [200, 20]), scores)
    assert found["mahalanobis"] > 0.95
    assert found["knn"] < 0.9


def test_mahalanobis_by_hand(listed):
    """The k-th nearest by the covariance's inverse, which is scikit-learn's, where no component is without variance."""
    from sklearn.covariance import ledoit_wolf

    rng = np.random.default_rng(1)
    windows, fresh = (rng.normal(size=(count, 1, 3)) @ rng.normal(size=(3, 3)) for count in (300, 5))
    made = registry.create("mahalanobis", {"neighbours": 2}, schema=PLAIN)
    made.fit(listed(windows), seed=0)
    encoder = TableEncoder.fit(windows, PLAIN)
    rows, new = encoder.encode(windows), encoder.encode(fresh)
    assert not new[:, -1].any()  # no value is missing
    inverse = np.linalg.inv(ledoit_wolf(rows[:, :-1])[0])
    apart = (new[:, None] - rows)[..., :-1]
    squared = np.einsum("nmf,fg,nmg->nm", apart, inverse, apart)
    assert made.score(fresh).image == pytest.approx(np.sqrt(np.sort(squared, axis=1)[:, 1]), rel=0.01)


def test_a_sensor_that_only_repeats_another_does_not_magnify_rounding(listed):
    rng = np.random.default_rng(2)
    windows = np.repeat(rng.normal(size=(300, 1, 1)), 3, axis=2)
    made = registry.create("mahalanobis", {}, schema=PLAIN)
    made.fit(listed(windows), seed=0)
    fresh = np.repeat(rng.normal(size=(50, 1, 1)), 3, axis=2)
    rounded = fresh + np.array([0, 1e-7, -1e-7])
    assert made.score(rounded).image == pytest.approx(made.score(fresh).image, abs=1e-4)


@pytest.mark.parametrize("name", ["ecod", "isolation-forest", "knn", "lof", "mahalanobis", "deepsad"])
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


@pytest.mark.parametrize("name", ["knn", "lof", "mahalanobis"])
def test_more_neighbours_than_rows_means_all_rows(name, cases, listed, make_rows):
    made = cases[name].make(neighbours=100)
    made.fit(listed(make_rows(0, 20)), seed=0)
    assert np.isfinite(made.score(make_rows(1, 5)).image).all()


@pytest.mark.parametrize("name", ["knn", "lof", "mahalanobis", "deepsad"])
@pytest.mark.parametrize("window", [1, 12])
@pytest.mark.parametrize("dead", [1, 3, 6])
def test_sensors_that_were_complete_and_die_lie_outside_of_what_is_normal(name, window, dead, cases, listed):
    rng = np.random.default_rng(0)
    mix = rng.normal(size=(3, 6))
    normal, fresh = (rng.normal(size=(count, window, 3)) @ mix for count in (400, 200))
    schema = TableSchema(features=tuple(Column(name=name, kind="numeric") for name in "abcdef"), window=window)
    made = registry.create(name, {**cases[name].params, "features": "level"}, schema=schema)
    made.fit(listed(normal + 0.2 * rng.normal(size=normal.shape)), seed=0)
    fresh += 0.2 * rng.normal(size=fresh.shape)
    usual = made.score(fresh).image
    broken = fresh[:50].copy()
    broken[:, :, :dead] = np.nan
    scores = made.score(broken).image
    assert np.isfinite(scores).all()
    assert scores.min() > usual.max()
    if dead == 1:
        assert (made.explain(broken).sum(axis=1).argmax(axis=1) == 0).all()


def test_to_ecod_sensors_that_die_are_one_feature_among_all(cases, fitted_once):
    detector, usual = fitted_once("ecod"), cases["ecod"].fresh.copy()
    usual[:, :, 1] = detector._encoder.medians[1]
    dead = usual.copy()
    dead[:, :, 1] = np.nan
    more = detector.score(dead).image - detector.score(usual).image
    assert more == pytest.approx(np.log(301))  # of 300 training samples


@pytest.mark.parametrize("name", ["ecod", "isolation-forest", "knn", "lof", "mahalanobis", "deepsad"])
def test_a_model_of_before_gaps_were_a_feature_scores_as_it_did(name, cases, listed, tmp_path, monkeypatch):
    case, fit = cases[name], TableEncoder.fit

    def of_before(*given, **more):
        made = fit(*given, **more)
        return made.model_copy(update={"complete": (), "centre": made.centre[:-1], "scale": made.scale[:-1]})

    monkeypatch.setattr(TableEncoder, "fit", of_before)
    detector = case.make()
    detector.fit(listed(case.normal), seed=0)
    detector.save(tmp_path / "model")
    path = tmp_path / "model" / "detector.json"
    header = json.loads(path.read_text())
    del header["state"]["encoder"]["complete"]
    path.write_text(json.dumps(header))
    fresh = case.fresh.copy()
    fresh[:9, :, 1] = np.nan
    assert np.array_equal(registry.load(tmp_path / "model").score(fresh).image, detector.score(fresh).image)


@pytest.mark.parametrize("name", ["ecod", "isolation-forest", "knn", "lof", "mahalanobis"])
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
    assert registry.baselines(names) == ("ecod", "isolation-forest", "knn", "lof", "mahalanobis")
