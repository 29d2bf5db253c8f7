"""Parameters of the image detectors that are built from anomalib's networks."""

from typing import Literal

from pydantic import Field

from .base import Params, Precision


class SquareParams(Params):
    """Of detectors whose networks want every image in one shape: both sides are scaled to `image_size`."""

    precision: Precision = Field("f32", description="Of the backbone; bf16 needs a processor that has it")

    @property
    def resize(self) -> Literal["stretch"]:
        """See `ImageParams`."""
        return "stretch"

    @property
    def tiles(self) -> int:
        """See `ImageParams`."""
        return 1


class PadimParams(SquareParams):
    """Of `padim`."""

    image_size: int = Field(256, ge=64, le=1024, multiple_of=32, description="Side of the model's input, pixels")
    stages: Literal["1-2-3", "2-3", "3-4"] = Field(
        "2-3", description="Backbone stages whose features are joined; stage n has stride 2^(n+1)"
    )
    features: int = Field(100, ge=2, le=1000, description="Channels kept at most, drawn at random")
    max_images: int = Field(1000, ge=2, le=100_000, description="Training images read at most, evenly spaced")


class TrainedParams(SquareParams):
    """Of every detector whose network is trained in steps."""

    steps: int = Field(400, ge=1, le=100_000, description="Batches trained on")
    batch_size: int = Field(4, ge=2, le=256)
    learning_rate: float = Field(2e-3, gt=0, le=10)
    max_images: int = Field(1000, ge=1, le=100_000, description="Training images read at most, evenly spaced")
    training: Literal["auto", "f32", "bf16"] = Field(
        "auto",
        description="Of products in training: bf16 where the processor has it (auto); scores are in f32",
    )


class StfpmParams(TrainedParams):
    """Of `stfpm`."""

    image_size: int = Field(256, ge=64, le=1024, multiple_of=32, description="Side of the model's input, pixels")
    steps: int = Field(300, ge=1, le=100_000, description="Batches trained on")
    learning_rate: float = Field(0.4, gt=0, le=10)


class SuperSimpleNetParams(TrainedParams):
    """Of `supersimplenet`."""

    image_size: int = Field(256, ge=128, le=1024, multiple_of=32, description="Side of the model's input, pixels")
    stages: Literal["2-3", "2-3-4"] = Field(
        "2-3", description="Backbone stages whose features are joined; stage n has stride 2^(n+1)"
    )
    steps: int = Field(200, ge=1, le=100_000, description="Batches trained on")
    learning_rate: float = Field(1e-3, gt=0, le=10)
    noise: float = Field(0.5, gt=0, le=10, description="Deviation of the noise that stands for anomalies, of 1")
    score: Literal["map", "head"] = Field(
        "map", description="What scores an image: the highest value of its map, or the classification head"
    )


class DraemParams(TrainedParams):
    """Of `draem`."""

    image_size: int = Field(256, ge=128, le=1024, multiple_of=128, description="Side of the model's input, pixels")
    stages: Literal["2-3", "2-3-4"] = Field(
        "2-3", description="Backbone stages whose features are joined; stage n has stride 2^(n+1)"
    )
    steps: int = Field(400, ge=1, le=100_000, description="Batches trained on")
    copies: int = Field(4, ge=1, le=100, description="Damaged copies of each training image")
    width: int = Field(16, ge=4, le=256, description="Channels of the networks' first layers")


class DinomalyParams(TrainedParams):
    """Of `dinomaly`."""

    image_size: int = Field(280, ge=112, le=1022, multiple_of=14, description="Side of the model's input, pixels")
    dropout: float = Field(0.2, ge=0, lt=1, description="In the bottleneck; keeps it from copying anomalies")


class InpFormerParams(TrainedParams):
    """Of `inp-former`."""

    image_size: int = Field(280, ge=112, le=1022, multiple_of=14, description="Side of the model's input, pixels")
    learning_rate: float = Field(1e-3, gt=0, le=10)
    prototypes: int = Field(6, ge=1, le=100, description="Normal prototypes that each image is rebuilt from")
