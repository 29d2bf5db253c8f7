"""Parameters of the table detectors."""

from pydantic import Field

from .base import Params


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
