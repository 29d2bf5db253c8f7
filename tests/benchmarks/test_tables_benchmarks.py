"""How the benchmarks of tables split, window and count."""

import json
import sys

import numpy as np
import pytest

from benchmarks import shapley, skab, tables


def test_a_split_trains_on_no_test_row_and_labels_leave_the_unlabelled():
    labels = np.array([0] * 80 + [1] * 20, np.int8)
    for setting, size in (("clean", 56), ("contaminated", 56 + 14 - 3)):
        normal, labelled, test = tables.split(labels, setting=setting, share=0.05, seed=1)
        assert (len(normal), len(labelled), len(test)) == (size, 3, 30)
        assert (labels[labelled] == 1).all()
        assert len(set(normal) | set(labelled) | set(test)) == size + 3 + 30
        assert labels[test].sum() == 6


def test_the_peer_is_the_best_by_the_mean():
    def row(auroc):
        return {"auroc": auroc, "fit_s": 2.0, "score_s": 1.0}

    every = {
        "a": {"DeepSAD 0 %": row(0.9), "ECOD": row(1.0), "KNN": row(0.7)},
        "b": {"DeepSAD 0 %": row(0.9), "ECOD": row(0.6), "KNN": row(0.8)},
    }
    found = tables.summary(every)
    assert found["peer"]["name"] == "ECOD"
    assert found["ratio"]["DeepSAD 0 %"]["auroc"] == pytest.approx(0.9 / 0.8)


def test_folds_keep_overlapping_windows_apart():
    windows = np.arange(100.0)[:, None, None]
    for kept, judged in skab._folds(windows, window=10):
        assert np.abs(kept[:, 0, 0][:, None] - judged[:, 0, 0][None]).min() >= 10
    assert sum(len(judged) for _, judged in skab._folds(windows, window=10)) == 100


def test_skab_from_files_to_one_object(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    (tmp_path / "valve1").mkdir()
    rows = rng.normal(size=(600, 2))
    rows[500:] += 20
    lines = ["datetime;a;b;anomaly;changepoint"]
    lines += [f"{place};{a};{b};{int(place >= 500)};0" for place, (a, b) in enumerate(rows)]
    (tmp_path / "valve1" / "0.csv").write_text("\n".join(lines))
    monkeypatch.setattr(sys, "argv", ["skab", "--root", str(tmp_path), "--detectors", "knn", "--window", "5", "--json"])
    skab.main()
    found = json.loads(capsys.readouterr().out)
    assert found["ours"]["knn, level"]["f1"] > 0.9
    assert found["peer"]["Conv-AE"] == {"f1": 0.79, "far": 13.69, "mar": 17.77}
    assert found["ratio"]["knn, level"]["f1"] == pytest.approx(
        found["ours"]["knn, level"]["f1"] / max(one["f1"] for one in found["peer"].values())
    )


def test_shapley_values_from_tables_to_one_object(tmp_path, monkeypatch, capsys):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "wide.npz", X=rng.normal(size=(80, 10)), y=np.arange(80) >= 75)
    np.savez(tmp_path / "narrow.npz", X=rng.normal(size=(80, 8)), y=np.arange(80) >= 75)  # nothing to sample
    options = ["--samples", "1", "--seeds", "2", "--evaluations", "120"]
    monkeypatch.setattr(sys, "argv", ["shapley", "--root", str(tmp_path), *options, "--json"])
    shapley.main()
    found = json.loads(capsys.readouterr().out)
    assert 0 < found["ours"]["error"] < found["peer"]["error"] < 1
    assert found["ratio"]["error"] == pytest.approx(found["peer"]["error"] / found["ours"]["error"])
    (tmp_path / "wide.npz").unlink()
    with pytest.raises(SystemExit):
        shapley.main()
    assert "more than 8 columns" in capsys.readouterr().err
