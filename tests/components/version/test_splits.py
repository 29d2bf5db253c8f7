"""Splits: no unit is divided, no old sample moves, the order of files decides nothing, shares are met."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.contracts import Column, Modality, Split, TableSchema
from components.core.hashing import sha256_bytes
from components.core.lines import LineConfig, Shares
from components.samples.manifest import manifest_rows
from components.version.splits import assign_splits

IMAGES = LineConfig(name="press", modality=Modality.IMAGE, source="x")
TABLES = LineConfig(name="pump", modality=Modality.TABLE, source="x")


def name(*parts: object) -> str:
    return sha256_bytes(repr(parts).encode())


def images(
    n: int, *, batch: str = "", label: str = "normal", split: str = "", group: str = "", folder: str = "good"
) -> pd.DataFrame:
    samples = [name(batch, label, split, group, place) for place in range(n)]
    paths = [f"{folder}/{batch}{place}.png" for place in range(n)]
    return manifest_rows({
        "sample": samples, "file": samples, "path": paths, "label": [label] * n, "split": [split] * n,
        "group": [group] * n, "label_source": ["folder"] * n,
    })  # fmt: skip


def counts(manifest: pd.DataFrame, label: str = "normal") -> dict[str, int]:
    return manifest[manifest["label"] == label]["split"].value_counts().to_dict()


@pytest.mark.parametrize("n", [31, 100, 1000])
def test_shares_are_met(n: int) -> None:
    manifest, refused = assign_splits(images(n), previous=None, line=IMAGES)
    assert not refused
    found = counts(manifest)
    for split, share in Shares():
        assert abs(found[split] - share * n) <= 1 or found[split] == 3


def test_a_sealed_test_set_takes_the_share_of_test() -> None:
    rows = pd.concat([images(31), images(14, split="test", folder="test/good")])
    rows["sealed"] = rows["split"] == "test"
    manifest, _ = assign_splits(rows, previous=None, line=IMAGES)
    assert counts(manifest) == {"train": 22, "calibration": 6, "validation": 3, "test": 14}
    later, _ = assign_splits(images(10, batch="later"), previous=manifest, line=IMAGES, number=2)
    assert counts(later)["test"] == 14
    assert later["added_in"].value_counts().to_dict() == {1: 45, 2: 10}


@pytest.mark.parametrize(("n", "least"), [(4, 1), (8, 1), (16, 2), (30, 3)])
def test_small_sets_have_every_split(n: int, least: int) -> None:
    found = counts(assign_splits(images(n), previous=None, line=IMAGES)[0])
    assert min(found.values()) >= least
    assert len(found) == 4
    assert found["train"] >= n // 4


def test_anomalous_images_are_learned_from_only_where_the_source_says_so() -> None:
    rows = pd.concat([images(50), images(20, label="anomalous", folder="crack")])
    found = counts(assign_splits(rows, previous=None, line=IMAGES)[0], "anomalous")
    assert found == {"validation": 8, "test": 12}
    given = images(5, label="anomalous", folder="crack", batch="given", split="train")
    found = counts(assign_splits(pd.concat([rows, given]), previous=None, line=IMAGES)[0], "anomalous")
    assert found == {"train": 5, "validation": 8, "test": 12}
    barred = images(1, label="anomalous", split="calibration")
    refused = assign_splits(pd.concat([rows, barred]), previous=None, line=IMAGES)[1]
    assert [item.reason for item in refused] == ["anomaly-of-normal-unit"]


@pytest.mark.parametrize("label", ["normal", "anomalous"])
def test_an_anomaly_does_not_follow_its_near_duplicate_into_train(label: str) -> None:
    pictures = [picture(seed) for seed in range(41)]
    elder = images(1, batch="elder", label=label, split="train")
    old, _ = assign_splits(
        with_pictures(pd.concat([images(40), elder], ignore_index=True), pictures), previous=None, line=IMAGES
    )
    twin = with_pictures(images(1, batch="twin", label="anomalous"), [near(pictures[-1])])
    kept, refused = assign_splits(twin, previous=old, line=IMAGES, number=2)
    assert [item.reason for item in refused] == ["anomaly-of-normal-unit"]
    assert len(kept) == len(old)
    kept, refused = assign_splits(twin.assign(split="train"), previous=old, line=IMAGES, number=2)
    assert not refused
    assert kept.set_index("path").loc["good/twin0.png", ["split", "label"]].tolist() == ["train", "anomalous"]


def test_test_is_sealed_and_nothing_else() -> None:
    manifest, _ = assign_splits(images(60), previous=None, line=IMAGES)
    assert (manifest["sealed"] == (manifest["split"] == Split.TEST)).all()
    assert manifest["sample"].is_monotonic_increasing


@settings(deadline=None, max_examples=30)
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4), groups=st.integers(0, 12), seed=st.integers(0, 99))
def test_old_samples_never_move_and_groups_are_never_divided(sizes: list[int], groups: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    manifest = None
    for batch, size in enumerate(sizes):
        rows = images(size, batch=f"{seed}-{batch}-")
        rows["group"] = [f"g{draw.integers(groups)}" if groups else "" for _ in range(size)]
        bad = draw.random(size) < 0.2
        rows.loc[bad, "label"] = "anomalous"
        shuffled = rows.sample(frac=1, random_state=seed)
        new, refused = assign_splits(rows, previous=manifest, line=IMAGES, number=batch + 1)
        assert new.equals(assign_splits(shuffled, previous=manifest, line=IMAGES, number=batch + 1)[0])
        if manifest is not None:
            kept = new[new["sample"].isin(manifest["sample"])].reset_index(drop=True)
            assert kept.equals(manifest)
        assert len(new) + len(refused) == (0 if manifest is None else len(manifest)) + size
        named = new[new["group"] != ""]
        assert (named.groupby("group")["split"].nunique() <= 1).all()
        assert not set(new[new["label"] == "anomalous"]["split"]) & {"train", "calibration"}
        assert set(new["split"]) <= {str(split) for split in Split}
        manifest = new


def picture(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, 256).astype(np.uint8)


def with_pictures(rows: pd.DataFrame, pictures: list[np.ndarray]) -> pd.DataFrame:
    return rows.assign(fingerprint=pd.Series([one.tobytes() for one in pictures], dtype=object))


def near(base: np.ndarray) -> np.ndarray:
    moved = base.copy()
    moved[::4] = np.where(moved[::4] > 100, moved[::4] - 1, moved[::4] + 1)
    return moved


def test_a_near_duplicate_joins_its_elder_and_a_bridge_is_refused() -> None:
    pictures = [picture(seed) for seed in range(40)]
    old, _ = assign_splits(with_pictures(images(40), pictures), previous=None, line=IMAGES)
    train = old[old["split"] == "train"].iloc[0]
    copy = near(np.frombuffer(train["fingerprint"], np.uint8))
    new, refused = assign_splits(with_pictures(images(1, batch="n"), [copy]), previous=old, line=IMAGES)
    row = new[new["path"] == "good/n0.png"].iloc[0]
    assert (row["split"], row["group"], refused) == ("train", train["sample"], ())
    # One more sample, which resembles that of train as much as one of another split.
    half = picture(1000)
    other = images(2, batch="pair")
    pair = with_pictures(other, [near(half), near(near(half))]).assign(split=["train", "validation"])
    fixed = pd.concat([old, manifest_rows(pair)], ignore_index=True)
    again, refused = assign_splits(with_pictures(images(1, batch="bridge"), [half]), previous=fixed, line=IMAGES)
    assert [item.reason for item in refused] == ["bridges-splits"]
    assert len(again) == len(fixed)


def test_near_duplicates_of_one_batch_stay_together() -> None:
    pictures = [picture(seed // 2) if seed % 2 else near(picture(seed // 2)) for seed in range(60)]
    manifest, _ = assign_splits(with_pictures(images(60), pictures), previous=None, line=IMAGES)
    assert manifest["group"].nunique() == 30
    assert (manifest.groupby("group")["split"].nunique() == 1).all()


def test_pictures_that_differ_by_noise_alone_are_not_taken_for_one() -> None:
    base, draw = picture(0), np.random.default_rng(1)
    pictures = [(base.astype(int) + draw.integers(0, 2, 256)).clip(0, 255).astype(np.uint8) for _ in range(60)]
    manifest, refused = assign_splits(with_pictures(images(60), pictures), previous=None, line=IMAGES)
    assert not refused
    assert counts(manifest) == {"train": 36, "calibration": 12, "validation": 6, "test": 6}


def windows(
    path: str, rows: int, *, window: int, stride: int, anomalous: range = range(0), start: int = 0
) -> pd.DataFrame:
    starts = list(range(start, rows - window + 1, stride))
    labels = ["anomalous" if set(range(low, low + window)) & set(anomalous) else "normal" for low in starts]
    samples = [name(path, low, window) for low in starts]
    return manifest_rows({
        "sample": samples, "file": [name(path, rows)] * len(starts), "path": [path] * len(starts), "label": labels,
        "start": starts, "end": [low + window for low in starts],
    })  # fmt: skip


def table_schema(window: int, stride: int, block: int) -> TableSchema:
    return TableSchema(features=(Column(name="a", kind="numeric"),), window=window, stride=stride, block_rows=block)


def assert_purged(manifest: pd.DataFrame, window: int) -> None:
    for _, file in manifest.groupby("path"):
        rows = file.sort_values("start")[["start", "end", "split"]].to_numpy()
        for place, (_, end, split) in enumerate(rows):
            for later_start, _, other in rows[place + 1 : place + 1 + 3 * window]:
                assert split == other or later_start >= end + window


@settings(deadline=None, max_examples=25)
@given(window=st.integers(1, 6), data=st.data())
def test_time_blocks_are_never_divided_and_their_borders_are_purged(window: int, data: st.DataObject) -> None:
    stride = data.draw(st.integers(1, window))
    block = data.draw(st.integers(10, 40)) * window
    rows = data.draw(st.integers(60, 600))
    schema = table_schema(window, stride, block)
    new = windows("a.csv", rows, window=window, stride=stride, anomalous=range(rows // 2, rows // 2 + 20))
    manifest, refused = assign_splits(new, previous=None, line=TABLES, schema=schema)
    assert not refused
    assert len(manifest) + manifest.attrs["purged"] == len(new)
    assert (manifest.groupby("group")["split"].nunique() == 1).all()
    assert "calibration" not in set(manifest[manifest["label"] == "anomalous"]["split"])
    assert_purged(manifest, window)
    # The file grows: the windows that were purged come again, and must be purged again.
    grown = windows("a.csv", rows + 100, window=window, stride=stride)
    grown = grown[~grown["sample"].isin(manifest["sample"])]
    later, _ = assign_splits(grown, previous=manifest, line=TABLES, schema=schema, number=2)
    assert later[later["added_in"] == 1].reset_index(drop=True).equals(manifest)
    assert (later.groupby("group")["split"].nunique() == 1).all()
    assert_purged(later, window)


def test_anomalous_rows_of_tables_are_shared_out() -> None:
    new = windows("a.csv", 2000, window=1, stride=1)
    new.loc[new.index % 10 == 0, "label"] = "anomalous"
    manifest, _ = assign_splits(new, previous=None, line=TABLES, schema=table_schema(1, 1, 1))
    assert counts(manifest, "anomalous") == {"train": 40, "validation": 60, "test": 100}
    assert counts(manifest) == {"train": 1080, "calibration": 360, "validation": 180, "test": 180}
    assert (manifest["group"] == "").all()
    assert manifest.attrs["purged"] == 0


def test_blocks_with_faults_leave_the_normal_ones_to_all_that_lack_some() -> None:
    new = windows("a.csv", 1200, window=1, stride=1, anomalous=range(0, 840, 60))  # a fault in 14 of 20 blocks
    manifest, _ = assign_splits(new, previous=None, line=TABLES, schema=table_schema(1, 1, 60))
    found = counts(manifest)
    assert found["validation"] + found["test"] > 400  # their faults brought so many, more than a third of all
    assert found["calibration"] >= 58
    assert found["train"] > found["calibration"]


@pytest.mark.parametrize("old", [0, 40])
def test_machines_that_failed_once_each_leave_train_half_of_the_normal_samples(old: int) -> None:
    rows = windows("a.csv", 800, window=1, stride=1)
    rows["group"] = [f"machine {row // 10}" for row in range(800)]
    rows.loc[rows.index % 10 == 9, "label"] = "anomalous"
    first, _ = assign_splits(rows[: 10 * old], previous=None, line=TABLES, schema=table_schema(1, 1, 1))
    manifest, refused = assign_splits(rows[10 * old :], previous=first, line=TABLES, schema=table_schema(1, 1, 1))
    assert not refused
    assert (manifest.groupby("group")["split"].nunique() == 1).all()
    assert counts(manifest, "anomalous") == {"train": 40, "validation": 15, "test": 25}
    assert counts(manifest) == {"train": 360, "validation": 135, "test": 225}
