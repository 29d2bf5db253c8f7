import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from components.metrics.ranking import auroc, average_precision, checked, f1, false_alarm_rate, recall

SCORES = np.array([1.0, 2.0, 3.0, 4.0])
LABELS = np.array([False, True, False, True])


def test_auroc_by_hand():
    # Pairs (anomalous, normal): 2>1, 2<3, 4>1, 4>3: three of four.
    assert auroc(SCORES, LABELS) == 0.75


def test_ties_count_one_half():
    assert auroc(np.ones(5), np.array([True, False, False, True, False])) == 0.5


def test_one_class_is_undefined():
    for labels in (np.ones(4, bool), np.zeros(4, bool)):
        assert np.isnan(auroc(SCORES, labels))
        assert np.isnan(average_precision(SCORES, labels))
    assert np.isnan(recall(SCORES, np.zeros(4, bool), threshold=0))
    assert np.isnan(f1(SCORES, np.zeros(4, bool), threshold=0))
    assert np.isnan(false_alarm_rate(SCORES, np.ones(4, bool), threshold=0))


def test_rates_by_hand():
    assert recall(SCORES, LABELS, threshold=2.0) == 0.5  # above, not at
    assert false_alarm_rate(SCORES, LABELS, threshold=2.0) == 0.5
    assert f1(SCORES, LABELS, threshold=2.0) == 0.5


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_agrees_with_scikit_learn(pairs):
    scores = np.array([float(score) for score, _ in pairs])
    labels = np.array([label for _, label in pairs])
    if labels.all() or not labels.any():
        return
    assert auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))
    assert average_precision(scores, labels) == pytest.approx(average_precision_score(labels, scores))
    assert f1(scores, labels, threshold=2.5) == pytest.approx(f1_score(labels, scores > 2.5))


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"\(3,\) and \(2,\)"):
        checked([1.0, 2.0, 3.0], [0, 1])
    with pytest.raises(ValueError, match="1 of 2 scores are not finite"):
        checked([1.0, np.nan], [0, 1])
