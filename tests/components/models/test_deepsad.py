import numpy as np
import pytest

from components.core.errors import ModelError


def test_labelled_anomalies_are_pushed_away(cases, listed, make_rows):
    case = cases["deepsad"]
    normal, strange = make_rows(0, 300), make_rows(5, 30)
    strange[:, :, 0] += 3  # a small fault that the labels point out
    both = listed(np.concatenate([normal, strange]), [0] * 300 + [1] * 30)
    fresh, faulty = make_rows(1, 100), make_rows(6, 100)
    faulty[:, :, 0] += 3
    gaps = {}
    for name, samples in (("without", listed(normal)), ("with", both)):
        detector = case.make(eta=5.0, epochs=40)
        detector.fit(samples, seed=0)
        usual = detector.score(fresh).image
        gaps[name] = (np.median(detector.score(faulty).image) - np.median(usual)) / usual.std()
    assert gaps["with"] > gaps["without"]


def test_occlusion_names_the_broken_column(cases, fitted_once):
    shares = fitted_once("deepsad").explain(cases["deepsad"].anomalous)
    assert shares.shape == (40, 1, 3)
    assert (np.abs(shares[:, 0]).argmax(axis=1) == 1).mean() > 0.9


def test_unknown_categories_and_missing_values_score_finitely(fitted_once):
    strange = np.array([[[10.0, 20.0, -1.0]], [[np.nan, np.nan, np.nan]], [[np.inf, -np.inf, 0.0]]])
    assert np.isfinite(fitted_once("deepsad").score(strange).image).all()


def test_windows_of_many_rows(cases, listed, make_rows):
    detector = cases["deepsad"].make()
    detector.fit(listed(make_rows(0, 200, window=12)), seed=0)
    fresh, faulty = make_rows(1, 40, window=12), make_rows(1, 40, window=12)
    faulty[:, :, 1] += 16
    assert detector.score(faulty).image.min() > detector.score(fresh).image.max()
    assert detector.explain(fresh).shape == (40, 12, 3)


def test_nothing_but_missing_values_is_refused(cases, listed):
    with pytest.raises(ModelError, match="constant"):
        cases["deepsad"].make().fit(listed(np.full((50, 1, 3), np.nan)), seed=0)


def test_nothing_but_anomalies_is_refused(cases, listed, make_rows):
    with pytest.raises(ModelError, match="no normal sample"):
        cases["deepsad"].make().fit(listed(make_rows(0, 20), [1] * 20), seed=0)
