"""Parameters of the image detectors."""

from typing import Literal

from pydantic import Field

from .base import PatchMemoryParams

Stages = Literal["2-3", "3", "3-4", "2-3-4"]


class MemoryBankParams(PatchMemoryParams):
    """Of `memory-bank`."""

    image_size: int = Field(320, ge=64, le=1024, multiple_of=32, description="Side of the model's input, pixels")
    stages: Stages = Field("3-4", description="Backbone stages whose features are joined; stage n has stride 2^(n+1)")
    pooling: Literal[1, 3] = Field(1, description="Side of the neighbourhood that a patch's features are averaged over")
    coreset_ratio: float = Field(0.02, gt=0, le=1, description="Share of the training patches that is kept")
    neighbours: int = Field(1, ge=1, le=50, description="Stored patches a patch is compared with; their mean distance")
    top_fraction: float = Field(0.03, gt=0, le=1, description="Share of an image's patches whose mean is its score")
    max_patches: int = Field(200_000, ge=1_000, description="Training patches kept at most, drawn evenly")
    reweight: int = Field(
        0, ge=0, le=50, description="Stored patches around the nearest one whose distances weigh the score; 0: none"
    )

    @property
    def scores_left_out(self) -> bool:
        """See `Params.scores_left_out`: what weighs a score was chosen with the sample itself."""
        return not self.reweight
