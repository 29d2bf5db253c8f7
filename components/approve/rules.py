"""What `gates.yaml` may say."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from components.core.errors import ConfigError, first_problem
from components.core.yamlfile import read_yaml


class GateRules(BaseModel):
    """The declared conditions; `configs/gates.yaml` explains each beside its default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    auroc_margin: float = Field(0.05, ge=0, lt=1, description="AUROC that a candidate may have less than the champion")
    max_interval_width: float = Field(0.1, gt=0, le=2, description="A wider interval of the difference is unmeasured")
    min_auroc: float | None = Field(None, ge=0, le=1, description="Lowest image AUROC; none: no such condition")
    false_alarm_excess: float = Field(0.02, ge=0, lt=1, description="False-alarm rate allowed above the budget")
    false_alarm_interval_width: float = Field(0.3, gt=0, le=1, description="A wider interval is unmeasured")
    latency_ms: float = Field(1000.0, gt=0, description="Milliseconds that one sample may take")
    no_leak: bool = Field(True, description="Whether no sample may lie in two splits")
    export_flip_share: float = Field(0.005, ge=0, le=1, description="Verdicts of an export that may be the opposite")
    export_unsure_change: float = Field(0.02, ge=0, le=1, description="By how much its share of unsure may differ")
    export_correlation: float = Field(0.95, ge=-1, le=1, description="Least correlation of its scores with the model's")


def load_rules(path: Path, overrides: Mapping[str, float | bool]) -> GateRules:
    """The rules of the file at `path`, with a line's own entries in place of the file's.

    Raises:
        ConfigError: The file is missing or not YAML, or an entry is unknown or out of its range.
    """
    said = read_yaml(path, into=TypeAdapter(dict[str, Any]), restore="`linewright init` writes one.")
    try:
        return GateRules.model_validate({**said, **overrides})
    except ValidationError as error:
        origin = f"{path} and the line's gates" if overrides else str(path)
        raise ConfigError(f"{origin}: {first_problem(error)}.", hint="Correct the value.") from error
