"""What `ensemble` does beyond what every detector promises."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import median_abs_deviation

from components.models import ensemble, registry
from components.models.memory_bank import MemoryBank


@pytest.fixture(scope="module")
def members(cases, listed):
    """The two members by themselves, fitted on what the ensemble is."""
    given = cases["ensemble"].params
    bank = registry.create("memory-bank", {"image_size": given["bank_size"]}, schema=None)
    size, blocks = given["dino_size"], given["dino_blocks"]
    dino = registry.create("dino-memory", {"image_size": size, "blocks": blocks}, schema=None)
    for member in (bank, dino):
        member.fit(listed(cases["ensemble"].normal), seed=0)
    return bank, dino


def deviation(member):
    return median_abs_deviation(member.left_out_scores, scale="normal")


def standardised(members, values):
    pairs = zip(values, members, strict=True)
    return np.mean([(found - np.median(m.left_out_scores)) / deviation(m) for found, m in pairs], axis=0)


def test_a_score_is_the_mean_of_its_members_each_in_its_own_deviations(cases, fitted_once, members):
    images = [*cases["ensemble"].fresh, *cases["ensemble"].anomalous]
    every = [member.score(images) for member in members]
    found = fitted_once("ensemble").score(images)
    assert found.image == pytest.approx(standardised(members, [scores.image for scores in every]), rel=1e-9)
    spreads = [scores.uncertainty / deviation(member) for scores, member in zip(every, members, strict=True)]
    assert found.uncertainty == pytest.approx(np.hypot(*spreads) / 2, rel=1e-9)


def test_it_says_what_it_would_have_made_of_unseen_training_images(cases, fitted_once, members):
    left_out = fitted_once("ensemble").left_out_scores
    assert left_out == pytest.approx(standardised(members, [m.left_out_scores for m in members]), rel=1e-9)
    assert len(left_out) == len(cases["ensemble"].normal)
    assert abs(np.median(left_out)) < 1


def test_the_map_is_on_the_scale_of_the_score_and_hot_where_the_defect_is(cases, fitted_once):
    heat = fitted_once("ensemble").explain([cases["ensemble"].anomalous[0]])[0]  # 96 x 96, red from 20 to 44
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert (np.abs((np.array([row, column]) + 0.5) / len(heat) * 96 - 32) < 24).all()
    assert heat.max() > fitted_once("ensemble").score(cases["ensemble"].fresh).image.max()


def test_its_parameters_reach_both_members(cases):
    made = cases["ensemble"].make(tiles=2, augment="rotations", bank_stages="2-3", bank_top=0.004, dino_top=0.005)
    bank, dino = (member.params for member in made._members)
    assert (bank["tiles"], bank["augment"], bank["stages"], bank["top_fraction"]) == (2, "rotations", "2-3", 0.004)
    assert (dino["tiles"], dino["augment"], dino["top_fraction"]) == (2, "rotations", 0.005)
    assert registry.settled("ensemble", {}, samples=9) == {"augment": "flips"}


def test_one_unusual_training_image_does_not_move_the_scale():
    """Else a fold without it has another scale than the others, whose threshold it shares."""
    usual = np.random.default_rng(0).normal(1.0, 0.1, 25)
    without, with_it = (
        ensemble._scale_of(SimpleNamespace(left_out_scores=scores), None) for scores in (usual, np.append(usual, 5.0))
    )
    assert with_it.median == pytest.approx(without.median, abs=0.02)
    assert with_it.deviation == pytest.approx(without.deviation, rel=0.2)  # the standard deviation grows ninefold


@pytest.mark.parametrize("count", [1, 2])
def test_a_member_counts_where_so_few_images_hardly_differ(cases, listed, count, monkeypatch):
    case = cases["ensemble"]
    monkeypatch.setattr(MemoryBank, "left_out_scores", None)  # as where an image gave too few patches
    detector = case.make()
    detector.fit(listed(case.normal[:count]), seed=0)
    assert detector.left_out_scores is None
    assert all(scale.deviation > 0 for scale in detector._scales)
    assert detector.score(case.anomalous).image.min() > detector.score(case.normal[:count]).image.max()


def test_members_whose_scales_cannot_be_told_apart_from_nothing_are_refused(cases, fitted_once, tmp_path):
    import json

    from components.core.errors import ModelError

    fitted_once("ensemble").save(tmp_path)
    header = json.loads((tmp_path / "detector.json").read_text())
    header["state"]["scales"][0][1] = 0.0
    (tmp_path / "detector.json").write_text(json.dumps(header))
    with pytest.raises(ModelError, match="does not hold a whole ensemble model"):
        ensemble.Ensemble.load(tmp_path)
