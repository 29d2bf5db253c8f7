"""Parameters of the detectors on frozen features beside the memory bank."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from .base import Augment, ImageParams, Params, PatchMemoryParams, Resize, augmented
from .images import Stages

Blocks = Literal["6", "9", "6-9", "3-6-9"]


class GaussianParams(ImageParams):
    """Of `gaussian`."""

    image_size: int = Field(320, ge=64, le=1024, multiple_of=32, description="Side of the model's input, pixels")
    stages: Literal["1-2-3-4", "2-3-4", "3-4"] = Field(
        "2-3-4", description="Backbone stages with a Gaussian each; stage n has stride 2^(n+1)"
    )
    components: Literal["all", "principal", "negligible"] = Field(
        "all", description="Principal components kept: all, those that carry most variance, or the others alone"
    )
    variance: float = Field(0.99, gt=0, lt=1, description="Share of the variance that `principal` carries")


class DinoMemoryParams(PatchMemoryParams):
    """Of `dino-memory`, whose network learned from images at their own aspect."""

    resize: Resize = Field(
        "fit", description="What is scaled to image_size: the longer side, keeping the aspect (fit), or both (stretch)"
    )

    image_size: int = Field(392, ge=112, le=1022, multiple_of=14, description="Side of the model's input, pixels")
    blocks: Blocks = Field("6-9", description="Transformer blocks whose features are joined")
    coreset_ratio: float = Field(0.05, gt=0, le=1, description="Share of the training patches that is kept")
    neighbours: int = Field(1, ge=1, le=50, description="Stored patches a patch is compared with; their mean distance")
    top_fraction: float = Field(0.01, gt=0, le=1, description="Share of an image's patches whose mean is its score")
    max_patches: int = Field(100_000, ge=1_000, description="Training patches kept at most, drawn evenly")

    @model_validator(mode="before")
    @classmethod
    def _of_earlier_models(cls, given: Any) -> Any:
        """Before there was `augment`, `rotations` said whether images are turned."""
        if not isinstance(given, dict) or "rotations" not in given:
            return given
        others = {name: value for name, value in given.items() if name != "rotations"}
        return {"augment": "rotations" if given["rotations"] else "none", **others}


class ReferenceParams(DinoMemoryParams):
    """Of `reference`."""

    weight: float = Field(1.0, ge=0, le=10, description="What being nearer to a labelled anomaly than to normal adds")


class EnsembleParams(Params):
    """Of `ensemble`: what its two members are given; what is not named here they decide by their own defaults."""

    tiles: int = Field(1, ge=1, le=4, description="Of both: overlapping tiles a side, for small defects")
    augment: Augment = Field(
        "auto",
        description="Of both: how training images are also seen, as a memory of patches does",
    )
    bank_size: int = Field(320, ge=64, le=1024, multiple_of=32, description="Input of the memory bank, pixels a side")
    bank_stages: Stages = Field("3-4", description="Backbone stages that the memory bank joins")
    bank_top: float = Field(0.03, gt=0, le=1, description="Share of patches whose mean is the memory bank's score")
    dino_size: int = Field(392, ge=112, le=1022, multiple_of=14, description="Input of the DINO memory, pixels a side")
    dino_blocks: Blocks = Field("6-9", description="Transformer blocks that the DINO memory joins")
    dino_top: float = Field(0.01, gt=0, le=1, description="Share of patches whose mean is the DINO memory's score")

    def settled(self, samples: int) -> Self:
        """See `Params.settled`."""
        return self.model_copy(update={"augment": augmented(self.augment, samples)})
