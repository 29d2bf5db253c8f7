"""What detectors' parameters share."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

Precision = Literal["f32", "bf16"]
"""What a frozen network computes in."""

Resize = Literal["fit", "stretch"]
"""What is scaled to an image's size: the longer side, keeping the aspect, or both."""


class Params(BaseModel):
    """Base: immutable, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def settled(self, samples: int) -> Self:  # noqa: ARG002 - subclasses decide by it
        """The same with everything decided that depends on how many normal training `samples` there are."""
        return self

    @property
    def scores_left_out(self) -> bool:
        """Whether a detector of a kind that scores training samples as if it had not seen them does so with these."""
        return True


Augment = Literal["auto", "none", "flips", "rotations"]

FEW = 32
"""Training images below which `auto` mirrors them; more would take as long as four times as many."""


def augmented(augment: Augment, samples: int) -> Augment:
    """`augment`, or what `auto` is with so many normal training samples."""
    return augment if augment != "auto" else "flips" if samples < FEW else "none"


class ImageParams(Params):
    """Of a detector over a frozen backbone: how images reach it, and what it computes in."""

    resize: Resize = Field(
        "stretch",
        description="What is scaled to image_size: the longer side, keeping the aspect (fit), or both (stretch)",
    )
    tiles: int = Field(1, ge=1, le=4, description="Overlapping tiles a side, each of image_size, for small defects")
    precision: Precision = Field("f32", description="Of the backbone; bf16 needs a processor that has it")


class PatchMemoryParams(ImageParams):
    """Of a memory of patches."""

    augment: Augment = Field(
        "auto",
        description="How training images are also seen: mirrored (flips), turned (rotations), mirrored if few (auto)",
    )

    def settled(self, samples: int) -> Self:
        """See `Params.settled`: whether `auto` mirrors them."""
        return self.model_copy(update={"augment": augmented(self.augment, samples)})
