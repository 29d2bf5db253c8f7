import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from components.metrics.ranking import Ranked, auroc, average_precision, f1_above


def measure(metric, scores, labels):
    scores, labels = np.asarray(scores, float), np.asarray(labels, float)[None, :]
    ranked = Ranked.of(scores)
    return float(metric(ranked.counts(labels), ranked.counts(1 - labels), ranked.values)[0])


def test_auroc_by_hand():
    # Pairs (anomalous, normal): 2 > 1, 2 < 3, 4 > 1, 4 > 3: three of four.
    assert measure(auroc, [1, 2, 3, 4], [0, 1, 0, 1]) == 0.75


def test_ties_count_one_half():
    assert measure(auroc, np.ones(5), [1, 0, 0, 1, 0]) == 0.5
    assert measure(auroc, [1, 2, 2, 3], [0, 0, 1, 1]) == 0.875


def test_average_precision_by_hand():
    # Found at ranks 1 and 3: precision 1/1 and 2/3.
    assert measure(average_precision, [4, 3, 2, 1], [1, 0, 1, 0]) == pytest.approx((1 + 2 / 3) / 2)


def test_f1_counts_what_lies_above_not_at_the_threshold():
    # Above 2.0 lie 3 (normal) and 4 (anomalous): one hit of two alarms and two anomalies.
    assert measure(f1_above(2.0), [1, 2, 3, 4], [0, 1, 0, 1]) == 0.5
    assert measure(f1_above(9.0), [1, 2, 3, 4], [0, 1, 0, 1]) == 0


def test_weights_are_repetitions():
    ranked = Ranked.of(np.array([1.0, 2.0, 3.0]))
    weights, labels = np.array([[2.0, 0.0, 1.0]]), np.array([0, 0, 1])
    assert ranked.counts(weights * labels).tolist() == [[1, 0, 0]]
    assert ranked.counts(weights * (1 - labels)).tolist() == [[0, 0, 2]]


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=40))
def test_agrees_with_scikit_learn(pairs):
    scores, labels = np.array([s for s, _ in pairs], float), np.array([label for _, label in pairs])
    assume(labels.any() and not labels.all())
    assert measure(auroc, scores, labels) == pytest.approx(roc_auc_score(labels, scores))
    assert measure(average_precision, scores, labels) == pytest.approx(average_precision_score(labels, scores))
    assert measure(f1_above(2.5), scores, labels) == pytest.approx(f1_score(labels, scores > 2.5))
