"""Bytes are compared with our own record before anything looks into them; then our own `load` reads them."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from components.core.errors import IntegrityError
from components.core.hashing import sha256_file
from components.core.ports import Detector

DETECTOR = "detector"
_FORMATS = {".json", ".safetensors"}
_SHOWN = 10
_MLFLOW_NOTE = "registered_model_meta"


def load_verified(folder: Path, *, files: Mapping[str, str]) -> Detector:
    """The detector of the model folder `folder`, whose files are what `files` (POSIX path → SHA-256) says.

    The folder's Python code and `MLmodel` are compared but never used: they are an export for others.

    Raises:
        IntegrityError: A file is missing, changed or not recorded, is a link or no regular file, or the detector has
            one that is neither JSON nor safetensors. Every such file is named. Nothing was loaded.
        ModelError: The detector's own format is not one that this release reads.
    """
    check_files(folder, files=files)
    from components.models.registry import load

    return load(folder / DETECTOR)


def check_files(folder: Path, *, files: Mapping[str, str]) -> None:
    """Compare every file below `folder` with the record; see `load_verified`."""
    if folder.is_symlink() or not folder.is_dir():
        raise IntegrityError(f"Model folder {folder} is missing or a link.", hint=_hint(folder))
    found, special = _found(folder)
    problems = [f"{path} is a link or no regular file" for path in special]
    problems += [f"{path} is missing" for path in sorted(files.keys() - found.keys() - set(special))]
    problems += [
        f"{path} is not recorded" for path in sorted(found.keys() - files.keys()) if not _left_by_others(path, files)
    ]
    problems += [
        f"{path} was changed"
        for path in sorted(files.keys() & found.keys())
        if sha256_file(found[path]) != files[path]
    ]  # fmt: skip
    problems += [
        f"{path} is neither JSON nor safetensors"
        for path in sorted(files.keys() | found.keys())
        if PurePosixPath(path).parts[0] == DETECTOR and PurePosixPath(path).suffix not in _FORMATS
    ]
    if not any(PurePosixPath(path).parts[0] == DETECTOR for path in files):
        problems.append("no detector is recorded")
    if problems:
        more = f" and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise IntegrityError(f"Model folder {folder}: {'; '.join(problems[:_SHOWN])}{more}.", hint=_hint(folder))


def _found(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """Regular files by POSIX path, and the paths of everything that is neither one nor a folder."""
    regular: dict[str, Path] = {}
    special: list[str] = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            special.append(name)
        elif path.is_file():
            regular[name] = path
    return regular, special


def _left_by_others(path: str, files: Mapping[str, str]) -> bool:
    """Whether `path` is what loading the export leaves in its folder; none of it is ever read by us.

    MLflow, which loads from a local artifact folder in place, notes the registered name; Python caches bytecode.
    """
    if path == _MLFLOW_NOTE:
        return True
    parts = PurePosixPath(path)
    if parts.parts[0] == DETECTOR or parts.parent.name != "__pycache__" or parts.suffix != ".pyc":
        return False
    source = parts.parent.parent / f"{parts.name.partition('.')[0]}.py"
    return source.as_posix() in files


def _hint(folder: Path) -> str:
    if folder.parent.name == "models" and folder.parent.parent.name == "cache":
        return "Delete this cached copy; it will be fetched again."
    return "Restore the folder from a backup, or roll back to another version."
