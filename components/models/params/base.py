"""What detectors' parameters share."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Precision = Literal["f32", "bf16"]


class Params(BaseModel):
    """Base: immutable, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Augment = Literal["auto", "none", "flips", "rotations"]
AUGMENT: Augment = Field(
    "auto",
    description="How training images are also seen: mirrored (flips), turned (rotations), or mirrored if few (auto)",
)


class ImageParams(Params):
    """Of a detector over a frozen backbone: how images reach it, and what it computes in."""

    resize: Literal["fit", "stretch"] = Field(
        "fit",
        description="What is scaled to image_size: the longer side, keeping the aspect (fit), or both (stretch)",
    )
    tiles: int = Field(1, ge=1, le=4, description="Overlapping tiles a side, each of image_size, for small defects")
    precision: Precision = Field("f32", description="Of the backbone; bf16 needs a processor that has it")
