import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from components.core.contracts import Column, TableSchema
from components.core.errors import ModelError
from components.core.scoring import plain_scores
from components.models import deepsad, registry
from components.models.on_table import training_windows
from components.models.sad_network import Members, Scorer, View, sharpness_of, stands_out


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


def test_of_very_many_samples_few_labelled_anomalies_are_kept(listed):
    schema = TableSchema(features=(Column(name="flow", kind="numeric"),), window=4, stride=2)
    for many, kept in ((20, 20), (400, 50), (5_000, 250)):
        labels = [0] * 5_000 + [1] * many
        samples = listed(np.arange(4.0 * len(labels)).reshape(-1, 4, 1), labels)
        found = training_windows(samples, schema=schema, limit=500, seed=0)
        assert len(found.labels) == 500
        assert found.labels.sum() == kept
        assert np.array_equal(found.labels, found.windows[:, 0, 0] >= 20_000)


def ringed(make_rows, count, *, seed):
    """Rows whose two numbers are usual, each alone, and lie too near each other: no distance tells them."""
    rows = make_rows(seed, count)
    rows[:, :, 1] = 20 + np.random.default_rng(seed).uniform(-0.3, 0.3, rows.shape[:2])
    rows[:, :, 0] = 10 + np.random.default_rng(seed + 1).uniform(-0.15, 0.15, rows.shape[:2])
    return rows


@pytest.mark.parametrize(("labelled", "trust"), [(0, {0.1}), (11, {0.25}), (60, {0.5, 0.75, 0.9})])
def test_many_labels_say_how_far_the_network_is_trusted(cases, listed, make_rows, labelled, trust, tmp_path):
    normal = make_rows(0, 600)
    strange = ringed(make_rows, labelled, seed=5)
    detector = cases["deepsad"].make(seeds=3, epochs=60)
    detector.fit(listed(np.concatenate([normal, strange]), [0] * 600 + [1] * labelled), seed=0)
    detector.save(tmp_path / "model")
    assert float(load_file(tmp_path / "model" / "weights.safetensors")["trust"]) in trust


def test_rows_that_repeat_leave_no_rounding_as_the_unit_of_distances(listed):
    random = np.random.default_rng(0)
    states = random.normal(size=(6, 1, 10))
    schema = TableSchema(features=tuple(Column(name=f"c{place}", kind="numeric") for place in range(10)))
    detector = registry.create("deepsad", {"epochs": 2, "pretrain_epochs": 1}, schema=schema)
    normal = states[random.integers(0, 6, 500)]
    detector.fit(listed(normal), seed=0)
    together = detector.score(np.concatenate([normal[:50], states + 1])).image
    alone = np.concatenate([detector.score(row[None]).image for row in normal[:50]])
    np.testing.assert_allclose(together[:50], alone, rtol=1e-4)
    assert together[:50].max() < together[50:].min() < together.max() < 1e4


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


def test_without_labels_it_is_its_unsupervised_self(cases, listed, make_rows):
    normal = make_rows(0, 120)
    scores = []
    for eta in (0.5, 50.0):
        detector = cases["deepsad"].make(eta=eta)
        detector.fit(listed(normal), seed=0)
        scores.append(detector.score(normal).image)
    assert np.array_equal(*scores)


def test_a_usual_sample_scores_about_one(fitted_once, make_rows):
    assert 0.7 < np.median(fitted_once("deepsad").score(make_rows(3, 200)).image) < 1.5


def test_uncertainty_is_that_of_stored_masks(cases, fitted_once, tmp_path):
    detector, fresh = fitted_once("deepsad"), cases["deepsad"].fresh
    spread = detector.score(fresh).uncertainty
    assert (spread > 0).all()
    assert (spread < detector.score(fresh).image).all()
    alone = [detector.score(fresh[place : place + 1]).uncertainty[0] for place in range(5)]
    np.testing.assert_allclose(alone, spread[:5], rtol=1e-6)
    detector.save(tmp_path / "model")
    assert np.array_equal(registry.load(tmp_path / "model").score(fresh).uncertainty, spread)


def test_the_spread_is_that_of_the_passes_by_hand():
    # One network, one hidden unit; of two masks one doubles it and one silences it: distances 2 and 0 of 1 usual.
    members = Members(members=1, inputs=2, hidden=1, latent=1).double()
    members.first.data = torch.tensor([[[1.0], [0.0]]]).double()
    members.second.data = torch.ones(1, 1, 1).double()
    view = View(torch.zeros(1).double(), torch.zeros(1, 1).double(), torch.zeros(1, 1).double())
    parts = {
        "centre": torch.zeros(1, 1, 1),
        "usual_distance": torch.ones(1),
        "remembered": torch.zeros(1, 3),
        "usual_near": torch.ones(3),
        "sharpness": torch.tensor([1.5, 1.0, 0.5]),
        "masks": torch.tensor([[[2.0]], [[0.0]]]),
        "trust": torch.tensor(0.25),
    }
    scorer = Scorer(view, members, parts={name: part.double() for name, part in parts.items()}, neighbours=1)
    scores, spread = scorer(torch.sinh(torch.ones(1, 1)).double())
    # The centre is 1 away; the remembered zero sinh(1), 0, since nothing is sharpened, and 1.
    assert scores.item() == pytest.approx(0.25 * 1 + 0.75 * (1 + 1.5 * (np.sinh(1) - 1)))
    assert spread.item() == pytest.approx(1 / 4)


def test_a_way_of_more_dimensions_is_sharper():
    rows = torch.randn(4000, 16, generator=torch.Generator().manual_seed(0), dtype=torch.double)
    repeated = rows[:, :1].expand(-1, 16)
    sharpness = sharpness_of([rows, repeated, torch.zeros(5, 16).double()])
    assert sharpness.mean().item() == pytest.approx(1)
    assert (sharpness[0] / sharpness[1]).item() == pytest.approx(2, rel=0.01)  # the fourth root of 16 dimensions and 1
    assert sharpness[2] == sharpness[1]
    assert sharpness_of([rows[:9], repeated]).isfinite().all()
    near, weights = torch.tensor([[1.0, 1.0, 1.0], [2.0, 1.5, 0.0]]), torch.tensor([0.5, 2.0, 0.5])
    assert stands_out(near, weights).tolist() == [1, 2]


def test_without_dropout_the_uncertainty_is_unknown(cases, listed, make_rows):
    detector = cases["deepsad"].make(dropout=0.0)
    detector.fit(listed(make_rows(0, 60)), seed=0)
    assert detector.score(make_rows(1, 5)).uncertainty is None


def test_unknown_anomalies_in_training_do_not_become_normal(cases, listed, make_rows):
    odd = make_rows(2, 40)
    odd[:, :, 1] += np.random.default_rng(0).normal(0, 6, odd.shape[:2])
    detector = cases["deepsad"].make()
    detector.fit(listed(np.concatenate([make_rows(0, 360), odd])), seed=0)
    fresh = make_rows(1, 100)
    faulty = fresh.copy()
    faulty[:, :, 1] += 6
    assert np.median(detector.score(faulty).image) > np.quantile(detector.score(fresh).image, 0.9)


@pytest.mark.parametrize("features", ["level", "spectral", "raw"])
@pytest.mark.parametrize("window", [2, 12])
def test_other_ways_to_see_a_window(features, window, cases, listed, make_rows, tmp_path):
    detector = cases["deepsad"].make(features=features)
    detector.fit(listed(make_rows(0, 120, window=window)), seed=0)
    fresh, faulty = make_rows(1, 40, window=window), make_rows(1, 40, window=window)
    faulty[:, :, 1] += 16
    scores = detector.score(fresh)
    assert detector.score(faulty).image.min() > scores.image.max()
    detector.save(tmp_path / "model")
    loaded = registry.load(tmp_path / "model").score(fresh)
    assert np.array_equal(loaded.image, scores.image)
    assert np.array_equal(loaded.uncertainty, scores.uncertainty)


def test_single_rows_are_seen_the_same_way_whatever_the_features(cases, listed, make_rows):
    scores = []
    for features in ("statistics", "spectral", "raw"):
        detector = cases["deepsad"].make(features=features)
        detector.fit(listed(make_rows(0, 60)), seed=0)
        scores.append(detector.score(make_rows(1, 10)).image)
    assert np.array_equal(scores[0], scores[1])
    assert np.array_equal(scores[0], scores[2])


@pytest.mark.parametrize(
    ("lost", "found", "hint"),
    [
        (("trust",), "made by an earlier release", "Retrain the line."),
        (("view.sharpening",), "made by an earlier release", "Retrain the line."),
        (("trust", "members.bias"), "made by an earlier release", "Retrain the line."),
        (("trust", "centre"), "does not hold a whole deepsad model", "Restore it."),
        (("masks",), "does not hold a whole deepsad model", "Restore it."),
    ],
)
def test_a_model_of_an_earlier_release_is_told_from_a_broken_one(fitted_once, lost, found, hint, tmp_path):
    fitted_once("deepsad").save(tmp_path / "model")
    weights = tmp_path / "model" / "weights.safetensors"
    save_file({name: tensor for name, tensor in load_file(weights).items() if name not in lost}, weights)
    with pytest.raises(ModelError, match=found) as caught:
        registry.load(tmp_path / "model")
    assert caught.value.hint == hint


def test_hidden_units_of_few_rows_are_held_at_once(fitted_once, make_rows, monkeypatch):
    detector, many = fitted_once("deepsad"), make_rows(1, 4 * deepsad.PLAIN_ROWS + 1)
    sizes = []

    def counted(function, parts):
        sizes.extend(map(len, parts))
        return [function(part) for part in parts]

    monkeypatch.setattr(deepsad, "each", counted)
    scores = plain_scores(detector, many)
    assert max(sizes) <= deepsad.PLAIN_ROWS
    assert sum(sizes) == len(many)
    assert np.array_equal(scores, detector.score(many).image)
