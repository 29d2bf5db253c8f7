"""What detectors' parameters share."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Precision = Literal["f32", "bf16"]


class Params(BaseModel):
    """Base: immutable, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ImageParams(Params):
    """Of a detector over a frozen backbone: how images reach it, and what it computes in."""

    resize: Literal["stretch", "fit"] = Field(
        "stretch",
        description="What is scaled to image_size: both sides (stretch), or the longer one, keeping the aspect (fit)",
    )
    tiles: int = Field(1, ge=1, le=4, description="Overlapping tiles a side, each of image_size, for small defects")
    precision: Precision = Field("f32", description="Of the backbone; bf16 needs a processor that has it")
