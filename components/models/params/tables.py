"""Parameters of the table detectors."""

from typing import Literal

from pydantic import Field

from .base import Params


class DeepSADParams(Params):
    """Of `deepsad`."""

    features: Literal["statistics", "level", "spectral", "raw"] = Field(
        "statistics", description="How windows of more than one row are seen; raw: row by row, by a convolution"
    )
    hidden: int = Field(64, ge=4, le=1024, description="Units of the hidden layer")
    latent_dim: int = Field(16, ge=1, le=256, description="Units of the representation")
    seeds: int = Field(3, ge=1, le=10, description="Networks of one shape whose distances are averaged")
    dropout: float = Field(
        0.1, ge=0, le=0.5, description="Share of hidden units switched off at random; 0 leaves uncertainty unknown"
    )
    neighbours: int = Field(
        10, ge=1, le=100, description="Nearest remembered samples whose mean distance counts beside the centre's"
    )
    memory: int = Field(2_000, ge=10, le=20_000, description="Normal training samples remembered at most")
    learning_rate: float = Field(2e-3, gt=0, le=0.1, description="At the start; it falls along a cosine")
    epochs: int = Field(30, ge=1, le=1000, description="Passes over the training samples at most")
    pretrain_epochs: int = Field(20, ge=0, le=1000, description="Passes of an autoencoder before, at most")
    batch_size: int = Field(128, ge=8, le=65536, description="Samples of a step where there are hundreds to thousands")
    weight_decay: float = Field(1e-4, ge=0, le=1)
    eta: float = Field(4.0, gt=0, le=100, description="Weight of labelled anomalies beside normal samples")
    max_samples: int = Field(50_000, ge=100, description="Training samples used at most, drawn evenly")


class BaselineParams(Params):
    """Of `ecod`, and what every cheap baseline has."""

    features: Literal["statistics", "level", "spectral"] = Field(
        "statistics", description="How windows of more than one row are seen"
    )
    max_samples: int = Field(10_000, ge=100, description="Training samples used at most, drawn evenly")


class IsolationForestParams(BaselineParams):
    """Of `isolation-forest`."""

    trees: int = Field(100, ge=1, le=1000, description="Trees whose path lengths are averaged")
    subsample: int = Field(256, ge=2, le=65536, description="Training samples that each tree parts")


class NeighbourParams(BaselineParams):
    """Of `knn` and `mahalanobis`, and what `lof` has too."""

    neighbours: int = Field(5, ge=1, le=500, description="Training samples that a sample is compared with")


class LOFParams(NeighbourParams):
    """Of `lof`, whose densities need more neighbours."""

    neighbours: int = Field(20, ge=1, le=500, description="Training samples that a sample is compared with")
