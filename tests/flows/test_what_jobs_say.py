import errno
import functools
import os
import re
import shutil
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from components.core.contracts import ManifestColumn, Modality, Scores
from components.core.errors import ConfigError, ConflictError, IntegrityError, SourceError
from components.core.hashing import folder_hashes
from components.core.lines import LineConfig, TableOptions
from components.explain.deletion import Deletion
from components.explain.pictures import save_image
from components.metrics.thresholds import calibrate
from flows.commands.verdicts import _tell_shap, _tell_unscored
from flows.data import LineData
from flows.jobs.drift import _by_age, _constants
from flows.jobs.explain import _words
from flows.jobs.ingest import ingest
from flows.jobs.models import check_model
from flows.jobs.score import ScoreRun, _ImageScorer, find_files
from flows.runtime.locks import FileLock
from flows.wiring import Linewright


def test_every_refused_file_is_named(capsys):
    one = ScoreRun(verdicts=(), refused=("a.csv: It has no rows.",), model_version=1, overlays=None)
    _tell_unscored(one)
    assert capsys.readouterr().err == ""
    with pytest.raises(SourceError, match=re.escape("Not scored: a.csv: It has no rows.")):
        one.raise_if_refused()
    more = replace(
        one, refused=(*one.refused, "[b].csv: No."), others=("1.txt", "2.txt", "3.txt", "4.txt"), changed="m04"
    )
    _tell_unscored(more)
    assert capsys.readouterr().err.splitlines() == [
        "note: m04",
        "note: of other kinds, not scored: 1.txt, 2.txt, 3.txt and 1 more",
        "Not scored: a.csv: It has no rows.",
        "Not scored: [b].csv: No.",
    ]
    with pytest.raises(SourceError, match=re.escape("2 files were not scored.")):
        more.raise_if_refused()


def test_of_many_columns_the_largest_are_named_and_what_cancels_is_told(capsys):
    values = [{"feature": f"[s{number}]", "value": 1.0} for number in range(20)]
    _tell_shap(values, base=0.5)
    said = capsys.readouterr().out
    assert said.count("+1.0000") == 15
    assert "5 others, which --json prints" in said
    assert "+5.0000" in said
    assert "note" not in said
    _tell_shap([{"feature": "s02", "value": -32.0}, {"feature": "s12", "value": 35.0}], base=0.5)
    assert "note: columns move it by 67 in all, most of which they take back" in capsys.readouterr().out


@pytest.mark.parametrize(("lower", "doubted"), [(0.1, True), (0.9, False)])
def test_a_map_that_random_regions_beat_is_doubted(lower, doubted):
    picture = np.zeros((4, 4, 3), np.uint8)
    test = Deletion(score=1.0, marked=0.5, random=(0.8, lower), area=0.1, pictures=(picture, picture))
    assert ("1 of these lower it more" in _words(test)) == doubted


def test_windows_left_out_between_splits_are_counted(tmp_path, workspace):
    table = pd.DataFrame({"flow": np.random.default_rng(0).normal(size=600)})
    (tmp_path / "source").mkdir()
    table.to_csv(tmp_path / "source" / "a.csv", index=False)
    workspace(tmp_path / "home")
    app = Linewright.open(tmp_path / "home")
    options = TableOptions(window=5, stride=1)
    line = LineConfig(name="pump", modality=Modality.TABLE, source=str(tmp_path / "source"), table=options)
    app.add_line(line, actor="operator")
    summary = ingest(app, "pump", actor="operator")
    assert summary.purged > 0
    assert summary.added + summary.purged == summary.found == 596


@pytest.fixture
def table_line(workspace):
    return functools.partial(_table_line, workspace)


def _table_line(workspace, folder, files):
    """A workspace with a line of tables, whose files hold these numbers of rows."""
    (folder / "source").mkdir()
    for seed, (name, rows) in enumerate(files.items()):
        path = folder / "source" / os.fsdecode(name)
        pd.DataFrame({"flow": np.random.default_rng(seed).normal(size=rows)}).to_csv(path, index=False)
    app = Linewright.open(workspace(folder / "home"))
    line = LineConfig(name="lab", modality=Modality.TABLE, source=str(folder / "source"))
    app.add_line(line, actor="operator")
    return app


def test_a_table_whose_name_is_not_utf_8_is_taken(tmp_path, table_line):
    app = table_line(tmp_path, {b"m\xfcnchen.csv": 200})
    assert ingest(app, "lab", actor="operator").added == 200
    assert set(LineData.open(app, app.line("lab")).manifest["path"]) == {"m\\udcfcnchen.csv"}


def test_data_of_another_modality_are_refused(tmp_path, table_line):
    app = table_line(tmp_path, {b"a.csv": 200})
    ingest(app, "lab", actor="operator")
    app.remove_line("lab", actor="operator")
    app.add_line(LineConfig(name="lab", modality=Modality.IMAGE, source=str(tmp_path / "source")), actor="operator")
    with pytest.raises(ConfigError, match=r"Line 'lab' has data of modality table \(lab/v1\), its file says image\."):
        ingest(app, "lab", actor="operator")


def test_one_ingest_of_a_line_at_a_time(tmp_path, table_line):
    app = table_line(tmp_path, {b"a.csv": 200})
    with FileLock(app.home / "run" / "ingest-lab.lock") as other:
        assert other.try_exclusive()
        with pytest.raises(ConflictError, match="Another ingest of line 'lab' runs"):
            ingest(app, "lab", actor="operator")
    assert ingest(app, "lab", actor="operator").added == 200


class Counting:
    """Finds every image as anomalous, all over."""

    seen = 0

    def score(self, batch):
        self.seen += len(batch)
        return Scores(image=np.ones(len(batch)), maps=np.ones((len(batch), 4, 4), np.float32))

    def explain(self, batch):
        return self.score(batch).maps


def scorer_of_images(home, detector):
    app = SimpleNamespace(settings=SimpleNamespace(overlays=home / "overlays"), home=home)
    line = LineConfig(name="bottle", modality=Modality.IMAGE, source=str(home))
    calibration = calibrate(np.linspace(0, 2, 50), rate=0.1, method="split", seed=0)
    return _ImageScorer(app, line, SimpleNamespace(version=1, calibration=calibration), detector)


def test_an_image_is_scored_once_for_its_score_and_its_map(tmp_path):
    for number in range(3):
        save_image(np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8), tmp_path / f"{number}.png")
    detector = Counting()
    run = scorer_of_images(tmp_path, detector).score(sorted(tmp_path.glob("*.png")))
    assert (len(run.verdicts), detector.seen) == (3, 3)
    assert all((tmp_path / verdict.overlay).is_file() for verdict in run.verdicts)


def test_pictures_of_scored_images_are_drawn_on_every_processor_and_of_equal_files_once(tmp_path, monkeypatch):
    monkeypatch.setattr("components.models.parallel.processors", lambda: 2)
    together, drawn = threading.Barrier(2, timeout=30), []

    def draw(image, *_, **__):
        drawn.append(together.wait())
        return image

    monkeypatch.setattr("flows.jobs.score.overlay", draw)
    for name in ("a", "b", "again"):
        save_image(np.full((64, 64, 3), ord(name[0]), np.uint8), tmp_path / f"{name}.png")
    (tmp_path / "none.png").write_bytes(b"no image")
    run = scorer_of_images(tmp_path, Counting()).score(sorted(tmp_path.glob("*.png")))
    assert [Path(verdict.path).name for verdict in run.verdicts] == ["a.png", "again.png", "b.png"]
    assert len({verdict.overlay for verdict in run.verdicts}) == len(drawn) == 2
    assert len(run.refused) == 1


def test_of_a_folder_to_score_what_a_source_would_take_for_samples_is_read(tmp_path):
    names = ["test/good/0.png", "test/good/._0.png", "__MACOSX/0.png", "ground_truth/bad/0_mask.png", "masks/a.csv"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()

    def found(*paths, modality):
        files, others = find_files(paths, modality=modality)
        return [[path.relative_to(tmp_path).as_posix() for path in some] for some in (files, others)]

    assert found(tmp_path, modality=Modality.IMAGE) == [["test/good/0.png"], []]
    assert found(tmp_path, modality=Modality.TABLE) == [["masks/a.csv"], ["ground_truth/bad/0_mask.png", names[0]]]
    named = (tmp_path / names[1], tmp_path / "ground_truth" / "bad")
    assert found(*named, modality=Modality.IMAGE) == [[names[1], names[3]], []]


def test_links_in_a_folder_to_score_are_followed_named_or_refused(tmp_path):
    batch, elsewhere = tmp_path / "batch", tmp_path / "elsewhere"
    for folder in (batch / "inside", elsewhere):
        folder.mkdir(parents=True)
        (folder / "0.png").touch()
    (batch / "latest").symlink_to(batch / "inside")
    (batch / "gone.png").symlink_to(tmp_path / "nothing.png")
    (batch / "other.png").symlink_to(elsewhere / "0.png")
    (batch / "0.webp").touch()
    files, others = find_files([batch], modality=Modality.IMAGE)
    assert [path.name for path in files] == ["gone.png", "0.png", "other.png"]
    assert [path.name for path in others] == ["0.webp"]
    (batch / "shift 2").symlink_to(elsewhere)
    with pytest.raises(SourceError, match=r"'.*/batch/shift 2' is a link to a folder outside '.*/batch'"):
        find_files([batch], modality=Modality.IMAGE)


def test_a_folder_to_score_that_may_not_be_read_is_refused(tmp_path, monkeypatch):
    (tmp_path / "locked").mkdir()
    for name in ("a.csv", "locked/b.csv"):
        (tmp_path / name).touch()
    scandir = os.scandir

    def denied(path):  # as to another user; root may read everything
        if str(path).endswith("locked"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(SourceError, match=r"Folder '.*/locked' cannot be read: Permission denied\. Check"):
        find_files([tmp_path], modality=Modality.TABLE)


def constants_of(table, *, was, windows=None):
    rows = pd.DataFrame(windows or [(0, len(table))], columns=[ManifestColumn.START, ManifestColumn.END])
    read = lambda _: table.to_csv(index=False).encode()  # noqa: E731
    data = SimpleNamespace(schema=SimpleNamespace(constants=was), read=read)
    return _constants(data, rows.assign(**{ManifestColumn.FILE: "a"}))


def test_a_constant_whole_number_stays_what_it_was_where_a_cell_is_missing():
    table = pd.DataFrame({"flow": [1.0, 2, 3], "recipe": [7, None, 7], "plant": ["a", "a", None]})
    assert constants_of(table, was={"recipe": "7", "plant": "a"}) == {"recipe": "7", "plant": "a"}
    assert constants_of(table, was={"recipe": "8", "plant": "7"}) == {"recipe": "7.0", "plant": "a"}


def test_a_sensor_that_woke_up_is_not_listed_value_by_value():
    found = constants_of(pd.DataFrame({"flow": np.arange(1000)}), was={"flow": "0"})
    assert found == {"flow": "0, 1, 2, 3, 4 and 995 more"}


def test_constants_are_those_of_the_windows_that_are_compared_alone():
    table = pd.DataFrame({"flow": range(6), "valve": ["on", "on", "on", "off", "on", "on"]})
    assert constants_of(table, was={"valve": "on"}, windows=[(0, 2), (1, 3), (4, 6)]) == {"valve": "on"}
    assert constants_of(table, was={"valve": "on"}, windows=[(2, 4)]) == {"valve": "on, off"}


def test_a_drift_check_keeps_the_newest_samples_in_the_order_in_which_they_came(tmp_path, workspace):
    (tmp_path / "source").mkdir()
    workspace(tmp_path / "home")
    app = Linewright.open(tmp_path / "home")
    options = TableOptions(window=5, stride=5)
    line = LineConfig(name="pump", modality=Modality.TABLE, source=str(tmp_path / "source"), table=options)
    app.add_line(line, actor="operator")
    for seed, name in enumerate(["b", "a"]):
        table = pd.DataFrame({"flow": np.random.default_rng(seed).normal(size=600)})
        table.to_csv(tmp_path / "source" / f"{name}.csv", index=False)
        ingest(app, "pump", actor="operator")
    manifest = LineData.open(app, line).manifest
    assert manifest[ManifestColumn.PATH].is_monotonic_increasing  # so that each file is parsed once
    assert all(own[ManifestColumn.START].is_monotonic_increasing for _, own in manifest.groupby(ManifestColumn.PATH))
    came = _by_age(manifest)
    assert sorted(came[ManifestColumn.SAMPLE]) == sorted(manifest[ManifestColumn.SAMPLE])
    newest = came.tail(int((manifest[ManifestColumn.ADDED_IN] == 2).sum()))
    assert set(newest[ManifestColumn.PATH]) == {"a.csv"}
    assert newest[ManifestColumn.START].is_monotonic_increasing


class Copied:
    """A tracker whose artifacts lie elsewhere: `copy` is what is here."""

    def __init__(self, origin, copy):
        self.origin, self.copy, self.fetched = origin, copy, 0

    def local_folder(self, _):
        if not self.copy.exists():
            shutil.copytree(self.origin, self.copy)
            self.fetched += 1
        return self.copy

    def forget(self, _):
        shutil.rmtree(self.copy)
        return True


def test_a_damaged_copy_of_a_model_is_fetched_again_and_a_damaged_model_is_refused(tmp_path):
    origin = tmp_path / "origin"
    (origin / "detector").mkdir(parents=True)
    (origin / "detector" / "detector.json").write_text("{}")
    tracker = Copied(origin, tmp_path / "copy")
    app, model = SimpleNamespace(tracker=tracker), SimpleNamespace(folder="m", files=folder_hashes(origin))
    check_model(app, model)
    (tracker.copy / "detector" / "detector.json").write_text("{")
    check_model(app, model)
    assert tracker.fetched == 2
    (origin / "detector" / "detector.json").write_text("[]")
    (tracker.copy / "detector" / "detector.json").write_text("{")
    with pytest.raises(IntegrityError, match=r"detector\.json was changed"):
        check_model(app, model)
    assert tracker.fetched == 3
