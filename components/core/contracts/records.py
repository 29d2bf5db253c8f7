"""What every record shares, and the words that all of them use."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

Params = Mapping[str, Any]


def now() -> datetime:
    """The time now, in UTC, with whole microseconds: what every record is stamped with."""
    return datetime.now(UTC)


class Record(BaseModel):
    """Base of every record: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Modality(StrEnum):
    """What a line's samples are."""

    IMAGE = "image"
    TABLE = "table"


class Label(StrEnum):
    """What is known of a sample."""

    NORMAL = "normal"
    ANOMALOUS = "anomalous"


class Split(StrEnum):
    """What a sample may be used for; it never changes once given."""

    TRAIN = "train"
    CALIBRATION = "calibration"
    VALIDATION = "validation"
    TEST = "test"
