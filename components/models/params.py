"""Parameters of every detector, with bounds; importing this loads no framework."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Stages = Literal["2-3", "3", "3-4", "2-3-4"]


class Params(BaseModel):
    """Base: immutable, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class MemoryBankParams(Params):
    """Of `memory-bank`."""

    image_size: int = Field(320, ge=64, le=1024, multiple_of=32, description="Side of the model's input, pixels")
    stages: Stages = Field("3-4", description="Backbone stages whose features are joined; stage n has stride 2^(n+1)")
    pooling: Literal[1, 3] = Field(1, description="Side of the neighbourhood that a patch's features are averaged over")
    coreset_ratio: float = Field(0.02, gt=0, le=1, description="Share of the training patches that is kept")
    neighbours: int = Field(1, ge=1, le=50, description="Stored patches a patch is compared with; their mean distance")
    top_fraction: float = Field(0.03, gt=0, le=1, description="Share of an image's patches whose mean is its score")
    max_patches: int = Field(200_000, ge=1_000, description="Training patches kept at most, drawn evenly")


class DeepSADParams(Params):
    """Of `deepsad`."""

    hidden: int = Field(64, ge=4, le=1024, description="Units of the hidden layer")
    latent_dim: int = Field(16, ge=1, le=256, description="Units of the representation")
    learning_rate: float = Field(1e-3, gt=0, le=0.1)
    epochs: int = Field(40, ge=1, le=1000, description="Passes over the training samples")
    pretrain_epochs: int = Field(
        0, ge=0, le=1000, description="Passes of an autoencoder before; they spread the centre's surroundings out"
    )
    batch_size: int = Field(256, ge=8, le=65536)
    weight_decay: float = Field(1e-6, ge=0, le=1)
    eta: float = Field(4.0, gt=0, le=100, description="Weight of labelled anomalies beside normal samples")
    max_samples: int = Field(50_000, ge=100, description="Training samples used at most, drawn evenly")
