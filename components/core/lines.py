"""What a line's file (`lines/<line>.yaml` in the workspace) may say."""

from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from .budgets import Rate
from .contracts import Costs, Modality
from .errors import ConfigError, first_problem, no_yaml
from .names import check_slug


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageOptions(_Section):
    """How an image line's files are read."""

    labels_file: str = Field("", description="CSV below the source with columns path,label[,defect][,group][,split]")
    group_pattern: str = Field("", description="Regular expression; its group 1 on the path names the part or batch")
    white_level: int = Field(0, ge=0, le=65535, description="Brightest value of 16-bit files; 0: 65535")
    max_pixels: int = Field(100_000_000, ge=1, description="Larger images are quarantined before they are decoded")
    min_side: int = Field(32, ge=8, description="Smaller images are quarantined, in pixels")


class TableOptions(_Section):
    """How a table line's files are read. Columns that are not named here are found by their content."""

    label: str = Field("", description="Column with 0/1, 1 is anomalous; empty: found by name, or none")
    timestamp: str = Field("", description="Column that orders rows; empty: found by name, or none")
    exclude: tuple[str, ...] = Field((), description="Columns that no detector may see")
    include: tuple[str, ...] = Field((), description="Columns that are features whatever their values look like")
    group: str = Field("", description="Column that names the part or batch; its rows stay in one split")
    window: int = Field(1, ge=1, le=100_000, description="Rows of one sample")
    stride: int = Field(0, ge=0, description="Rows between the starts of two samples; 0: as many as the window")
    max_missing: float = Field(0.5, ge=0, lt=1, description="Windows with a larger share of missing values are refused")

    @model_validator(mode="after")
    def _without_gaps(self) -> Self:
        if self.stride > self.window:
            raise ValueError(f"stride {self.stride} is larger than window {self.window}: rows would never be seen")
        return self

    @model_validator(mode="after")
    def _one_role_each(self) -> Self:
        others = {*self.exclude, self.label, self.timestamp, self.group}
        if twice := next((name for name in self.include if name in others), ""):
            raise ValueError(f"column {twice!r} is to be a feature and something else")
        return self


class Shares(_Section):
    """How normal samples are divided where the source does not say; test is 0 where it brings its own."""

    train: float = Field(0.6, gt=0, lt=1)
    calibration: float = Field(0.2, gt=0, lt=1)
    validation: float = Field(0.1, gt=0, lt=1)
    test: float = Field(0.1, ge=0, lt=1)


class DriftOptions(_Section):
    """When a shift counts as drift, and what follows."""

    false_alarm_rate: float = Field(0.05, gt=0, lt=1, description="Chance of one false verdict over `horizon` checks")
    horizon: int = Field(20, ge=1, description="Checks of one champion, with a verdict, over which the rate holds")
    min_effect: float = Field(0.25, ge=0, description="Smaller shifts, in reference deviations, are not drift")
    min_samples: int = Field(20, ge=8, description="Fewer new samples: not enough data")
    action: Literal["off", "ask", "on"] = Field(
        "ask", description="on drift: nothing; ask (`up` retrains); retrain at once"
    )


class ExplainOptions(_Section):
    """What Shapley values of a table line cost, and how far they may be off before their check fails."""

    evaluations: int = Field(
        256,
        ge=16,
        le=100_000,
        description="Coalitions of columns a sample; raised for many columns, and to reach max_error",
    )
    cell_evaluations: int = Field(
        4096,
        ge=16,
        le=1_000_000,
        description="Coalitions of sensors and time blocks a window, about; at least one pair",
    )
    max_error: float = Field(
        0.1, gt=0, le=1, description="Share by which values may differ between seeds and from exact ones"
    )


class Schedules(_Section):
    """Cron lines (UTC) for `linewright up`; empty: not scheduled."""

    ingest: str = ""
    drift: str = ""
    retrain: str = ""

    @field_validator("*")
    @classmethod
    def _five_fields(cls, value: str) -> str:
        if value and len(value.split()) != 5:
            raise ValueError(f"{value!r} is not a cron line of five fields")
        return value


class LineConfig(_Section):
    """One inspection point: its data, detector, schedule and gates."""

    name: str
    modality: Modality
    source: str = Field(min_length=1, description="Folder, CSV or Parquet file, or s3://bucket/prefix")
    image: ImageOptions = ImageOptions()
    table: TableOptions = TableOptions()
    shares: Shares = Shares()
    detector: str = Field(
        "", description="The only detector to search; empty: all that fit quickly; all: slow ones too"
    )
    params: dict[str, Any] = Field({}, description="Parameters that replace the detector's defaults (trial 0)")
    budget: int = Field(8, ge=1, le=10_000, description="Trials of one search")
    seed: int = Field(0, ge=0, lt=2**32)
    false_alarms: Rate | None = Field(
        None,
        validation_alias=AliasChoices("false_alarms", "false_alarm_rate"),  # the second is the key of earlier releases
        description="Normal samples above the threshold, as '1 per 1000', '0.1 %' or 0.001; none: 1 per 100",
    )
    costs: Costs = Costs()
    drift: DriftOptions = DriftOptions()
    explain: ExplainOptions = ExplainOptions()
    schedule: Schedules = Schedules()
    gates: dict[str, float | bool] = Field({}, description="Replaces entries of gates.yaml for this line")

    @field_validator("name")
    @classmethod
    def _slug(cls, value: str) -> str:
        return check_slug(value)


def parse_line(text: str | bytes, *, origin: str) -> LineConfig:
    """The line that YAML `text` (bytes: in UTF-8) from `origin` declares.

    Raises:
        ConfigError: It is not YAML, has unknown keys, or a value is out of its range; the message names the first.
    """
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise no_yaml(origin, error) from error
    return declare_line(values or {}, origin=origin)


def declare_line(values: Any, *, origin: str) -> LineConfig:
    """The line that `values` from `origin` declare; see `parse_line`."""
    try:
        return LineConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{origin}: {first_problem(error)}.", hint="Correct the value.") from error


def dump_line(line: LineConfig) -> str:
    """`line` as YAML; only what differs from the defaults, so that a file says what was chosen."""
    return yaml.safe_dump(line.model_dump(mode="json", exclude_defaults=True), sort_keys=False, allow_unicode=True)


def read_line(path: Path) -> LineConfig:
    """The line declared by the file at `path`; see `parse_line`."""
    line = parse_line(path.read_bytes(), origin=str(path))
    if line.name != path.stem:
        raise ConfigError(f"{path} declares line {line.name!r}.", hint="File name and line name must be the same.")
    return line
