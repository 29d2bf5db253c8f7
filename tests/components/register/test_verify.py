"""Whatever was done to a model folder is refused, by name, before anything reads it."""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from components.core.errors import IntegrityError, ModelError
from components.core.hashing import folder_hashes
from components.register.verify import check_files, load_verified


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder whose detector no loader could read: had one been called, it would raise ModelError."""
    root = tmp_path / "models" / "m-1"
    for path, content in {
        "detector/detector.json": b"{ this is not JSON",
        "detector/memory.safetensors": bytes(range(256)),
        "code/linewright_scorer/__init__.py": b"raise SystemExit('never run')\n",
        "entry.py": b"raise SystemExit('never run')\n",
        "MLmodel": b"flavors: {}\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def test_an_unchanged_folder_passes_and_only_then_is_the_detector_read(folder: Path) -> None:
    check_files(folder, files=folder_hashes(folder))
    with pytest.raises(ModelError):
        load_verified(folder, files=folder_hashes(folder))


def test_every_missing_extra_and_changed_file_is_named(folder: Path) -> None:
    files = folder_hashes(folder)
    (folder / "entry.py").unlink()
    (folder / "detector" / "more.json").write_text("{}")
    (folder / "detector" / "memory.safetensors").write_bytes(bytes(256))
    with pytest.raises(IntegrityError) as refused:
        load_verified(folder, files=files)
    assert "entry.py is missing" in refused.value.message
    assert "detector/more.json is not recorded" in refused.value.message
    assert "detector/memory.safetensors was changed" in refused.value.message
    assert refused.value.hint


def test_three_hundred_damaged_folders_are_refused(folder: Path) -> None:
    files = folder_hashes(folder)
    draw = random.Random(7)
    for number in range(300):
        name = draw.choice(sorted(files))
        path = folder / name
        before = path.read_bytes()
        place = draw.randrange(len(before))
        damaged = [
            before[:place],
            before[:place] + bytes([before[place] ^ (1 << draw.randrange(8))]) + before[place + 1 :],
            before + b"\0",
        ][number % 3]
        path.write_bytes(damaged)
        with pytest.raises(IntegrityError, match=f"{name} was changed"):
            load_verified(folder, files=files)
        path.write_bytes(before)
    check_files(folder, files=files)


@pytest.mark.parametrize(
    "name", ["detector/model.pkl", "detector/weights.pth", "detector/detector", "detector/a.json.gz"]
)
def test_a_recorded_file_of_another_format_in_the_detector_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\x80\x04.")
    with pytest.raises(IntegrityError, match="neither JSON nor safetensors"):
        load_verified(folder, files=folder_hashes(folder))


def _linked_file(folder: Path) -> str:
    kept = (folder / "entry.py").rename(folder.parent / "elsewhere.py")
    (folder / "entry.py").symlink_to(kept)  # the very same bytes
    return "entry.py is a link"


def _linked_folder(folder: Path) -> str:
    kept = (folder / "code").rename(folder.parent / "elsewhere")
    (folder / "code").symlink_to(kept)
    return "code is a link"


def _pipe(folder: Path) -> str:
    os.mkfifo(folder / "detector" / "pipe.json")
    return "pipe.json is a link or no regular file"


def _git(folder: Path) -> str:
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("")
    return r"\.git/config is not recorded"


def _bytecode_in_detector(folder: Path) -> str:
    (folder / "detector" / "__pycache__").mkdir()
    (folder / "detector" / "__pycache__" / "detector.cpython-311.pyc").write_bytes(b"")
    return "is not recorded"


def _bytecode_of_no_source(folder: Path) -> str:
    (folder / "code" / "__pycache__").mkdir()
    (folder / "code" / "__pycache__" / "torch.cpython-311.pyc").write_bytes(b"")
    return "is not recorded"


@pytest.mark.parametrize(
    "tamper", [_linked_file, _linked_folder, _pipe, _git, _bytecode_in_detector, _bytecode_of_no_source]
)
def test_links_pipes_and_strangers_are_refused(folder: Path, tamper: Callable[[Path], str]) -> None:
    files = folder_hashes(folder)
    said = tamper(folder)
    with pytest.raises(IntegrityError, match=said):
        load_verified(folder, files=files)


def test_a_linked_or_missing_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    files = folder_hashes(folder)
    (tmp_path / "link").symlink_to(folder)
    for path in (tmp_path / "link", tmp_path / "nothing", folder / "entry.py"):
        with pytest.raises(IntegrityError, match="missing or a link"):
            load_verified(path, files=files)


def test_what_plain_mlflow_leaves_behind_is_not_a_change(folder: Path) -> None:
    files = folder_hashes(folder)
    (folder / "registered_model_meta").write_text("model_name: press\n")
    for cache, source in (("code/linewright_scorer/__pycache__", "__init__"), ("__pycache__", "entry")):
        (folder / cache).mkdir()
        (folder / cache / f"{source}.cpython-311.pyc").write_bytes(b"")
    check_files(folder, files=files)


def test_a_record_without_a_detector_is_refused(folder: Path) -> None:
    shutil.rmtree(folder / "detector")
    with pytest.raises(IntegrityError, match="no detector is recorded"):
        load_verified(folder, files=folder_hashes(folder))


def test_long_lists_are_cut_and_a_cached_copy_may_be_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "models" / "abc"
    folder.mkdir(parents=True)
    with pytest.raises(IntegrityError, match="and 15 more") as refused:
        check_files(folder, files={f"detector/{number:02}.json": "" for number in range(25)})
    assert "cached copy" in refused.value.hint
