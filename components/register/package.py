"""A model folder: our own detector bundle, and beside it everything that MLflow's pyfunc needs to score with it.

    detector/                  what the detector's `save` wrote: JSON and safetensors; the only part we load ourselves
    export.json                how raw input is read, signature, and what the export consists of
    entry.py                   MLflow's models-from-code entry
    code/linewright_scorer/    copies of components.core, .metrics, .models, .samples, and the scorer
    requirements.txt, python_env.yaml, conda.yaml, input_example.json, serving_input_example.json

The package has a name of its own because MLflow puts `code/` first on the path: one called `components` would shadow
the application's. `components.adapters.tracking` adds `MLmodel`.
"""

import base64
import json
import platform
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from components.core.contracts import Modality, TableSchema
from components.core.errors import ModelError
from components.core.lines import LineConfig

PACKAGE = "linewright_scorer"
SHIPPED = ("core", "metrics", "models", "samples")
"""Packages of `components` that import each other relatively and nothing else of ours."""

REQUIREMENTS = {
    "anomalib": "anomalib",
    "mlflow": "mlflow",
    "numpy": "numpy",
    "numba": "numba",
    "onnx": "onnx",
    "openvino": "openvino",
    "pandas": "pandas",
    "PIL": "pillow",
    "pyarrow": "pyarrow",
    "pydantic": "pydantic",
    "pyod": "pyod",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "threadpoolctl": "threadpoolctl",
    "tifffile": "tifffile",
    "timm": "timm",
    "torch": "torch",
    "torchvision": "torchvision",
    "yaml": "pyyaml",
}
"""Module that the shipped code imports → distribution that carries it."""

_FORMAT = 1
_COMPONENTS = Path(__file__).parents[1]

_ENTRY = '''"""MLflow loads this file; the work is done by the package beside it."""

from pathlib import Path

import pandas as pd
from linewright_scorer.register.scorer import Scorer
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel


class Export(PythonModel):
    """Scores raw input with the detector of this folder."""

    def load_context(self, context):
        """Load the detector."""
        self._scorer = Scorer(Path(context.artifacts["detector"]), export=Path(context.artifacts["export"]))

    def predict(self, context, model_input: pd.DataFrame, params=None):
        """Verdicts, one row a sample."""
        return self._scorer.predict(model_input)


set_model(Export())
'''


def build_package(
    detector_dir: Path, target: Path, *, line: LineConfig, schema: TableSchema | None, example: pd.DataFrame
) -> Path:
    """Assemble the model folder in `target`, which is emptied first.

    Args:
        detector_dir: What the calibrated detector's `save` wrote.
        target: Folder to build in; must not be or contain anything else of value.
        line: Says how images are read and rows are grouped.
        schema: Of the dataset version; None for images.
        example: A few rows of raw input: column `image` with encoded bytes, or a table's raw columns.

    Returns:
        `target`.

    Raises:
        ModelError: `detector_dir` is empty, or `schema` does not fit the line's modality.
    """
    if (line.modality is Modality.TABLE) != (schema is not None):
        raise ModelError(f"Line {line.name!r} is of modality {line.modality}.", hint="Give a schema for tables only.")
    if not detector_dir.is_dir() or not any(detector_dir.iterdir()):
        raise ModelError(f"There is no saved detector in {detector_dir}.", hint="Train one first.")
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(detector_dir, target / "detector")
    _copy_code(target / "code" / PACKAGE)
    (target / "entry.py").write_text(_ENTRY, encoding="utf-8")
    _write_environment(target)
    signature = _signature(line, schema=schema)
    _write_example(target, example, columns=[column["name"] for column in signature["inputs"]])
    _write_json(target / "export.json", _export(line, schema=schema, signature=signature))
    return target


def requirements() -> list[str]:
    """What the shipped code needs, pinned to what is installed, without local version suffixes such as `+cpu`."""
    return sorted(f"{name}=={version(name).partition('+')[0]}" for name in REQUIREMENTS.values())


def _export(line: LineConfig, *, schema: TableSchema | None, signature: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "line": line.name,
        "modality": line.modality,
        "input": {
            "image": line.image.model_dump(mode="json"),
            "group": line.table.group,
            "schema": None if schema is None else schema.model_dump(mode="json"),
        },
        "signature": signature,
        "entry": "entry.py",
        "code": "code",
        "artifacts": {"detector": "detector", "export": "export.json"},
        "example": {
            "artifact_path": "input_example.json",
            "serving_input_path": "serving_input_example.json",
            "type": "dataframe",
            "pandas_orient": "split",
        },
    }


def _signature(line: LineConfig, *, schema: TableSchema | None) -> dict[str, list[dict[str, Any]]]:
    """Columns in MLflow's own spelling. What orders or groups rows may be left out: it is no feature.

    A table's features are of type "any": as "double", MLflow would refuse the whole numbers of a CSV file. The scorer
    checks every cell itself.
    """
    outputs = [("double", "score"), ("double", "threshold"), ("string", "verdict")]
    outputs += [("double", "uncertainty"), ("double", "p_value"), ("string", "severity")]
    if schema is None:
        inputs = [_column("binary", "image")]
    else:
        outputs += [("long", "start"), ("long", "end")]
        inputs = [_column("any", column.name) for column in schema.features]
        known = {column.name for column in schema.features}
        extra = dict.fromkeys(name for name in (schema.timestamp, line.table.group) if name and name not in known)
        inputs += [_column("any", name, required=False) for name in extra]
    return {"inputs": inputs, "outputs": [_column(kind, name) for kind, name in outputs]}


def _column(kind: str, name: str, *, required: bool = True) -> dict[str, Any]:
    return {"type": kind, "name": name, "required": required}


def _copy_code(target: Path) -> None:
    for name in (".", "register", *SHIPPED):
        (target / name).mkdir(parents=True, exist_ok=True)
    (target / "__init__.py").write_text('"""Scores with an exported Linewright detector."""\n', encoding="utf-8")
    shutil.copyfile(_COMPONENTS / "register" / "__init__.py", target / "register" / "__init__.py")
    shutil.copyfile(_COMPONENTS / "register" / "scorer.py", target / "register" / "scorer.py")
    for name in SHIPPED:
        for source in sorted((_COMPONENTS / name).rglob("*.py")):
            copy = target / source.relative_to(_COMPONENTS)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)


def _write_environment(target: Path) -> None:
    python = platform.python_version()
    (target / "requirements.txt").write_text("\n".join(requirements()) + "\n", encoding="utf-8")
    (target / "python_env.yaml").write_text(
        f"python: {python}\nbuild_dependencies: [pip]\ndependencies: [-r requirements.txt]\n", encoding="utf-8"
    )
    pip = "".join(f"      - {requirement}\n" for requirement in requirements())
    (target / "conda.yaml").write_text(
        f"name: linewright\nchannels: [conda-forge]\ndependencies:\n  - python={python}\n  - pip\n  - pip:\n{pip}",
        encoding="utf-8",
    )


def _write_example(target: Path, example: pd.DataFrame, *, columns: list[str]) -> None:
    """As MLflow keeps a data frame: split, bytes in base64, missing values as null."""
    kept = example[[name for name in columns if name in example]]
    cells = kept.astype(object).where(kept.notna(), None)
    split = {"columns": list(kept.columns), "data": [list(row) for row in cells.itertuples(index=False, name=None)]}
    _write_json(target / "input_example.json", split)
    _write_json(target / "serving_input_example.json", {"dataframe_split": split})


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1, default=_plain, allow_nan=False), encoding="utf-8")


def _plain(value: Any) -> Any:
    """What JSON has no type for: bytes as base64, NumPy's numbers as Python's, times as text."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.item() if hasattr(value, "item") else str(value)
