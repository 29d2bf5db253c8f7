"""What is taken from anomalib (Akcay et al. 2022, "Anomalib: A Deep Learning Library for Anomaly Detection", ICIP)."""

import warnings

with warnings.catch_warnings():
    # It imports names that timm and it itself moved.
    warnings.simplefilter("ignore", FutureWarning)
    from anomalib.data.utils.generators.perlin import generate_perlin_noise
    from anomalib.models.components import GaussianBlur2d, MultiVariateGaussian, TimmFeatureExtractor
    from anomalib.models.image.dinomaly.components import (
        CosineHardMiningLoss,
        DinomalyMLP,
        StableAdamW,
        WarmCosineScheduler,
    )
    from anomalib.models.image.dinomaly.torch_model import DecoderViTBlock, DinomalyModel
    from anomalib.models.image.draem.loss import DraemLoss
    from anomalib.models.image.draem.torch_model import DiscriminativeSubNetwork, ReconstructiveSubNetwork
    from anomalib.models.image.inp_former.components.layers import AggregationBlock, PrototypeBlock
    from anomalib.models.image.inp_former.components.loss import GlobalCosineHmAdaptiveLoss
    from anomalib.models.image.padim.anomaly_map import AnomalyMapGenerator as PadimMap
    from anomalib.models.image.stfpm.anomaly_map import AnomalyMapGenerator as StfpmMap
    from anomalib.models.image.stfpm.loss import STFPMLoss
    from anomalib.models.image.supersimplenet.anomaly_generator import AnomalyGenerator
    from anomalib.models.image.supersimplenet.loss import SSNLoss
    from anomalib.models.image.supersimplenet.torch_model import AnomalyMapGenerator as SmoothedMap
    from anomalib.models.image.supersimplenet.torch_model import FeatureAdapter, SegmentationDetectionModule

__all__ = [
    "AggregationBlock",
    "AnomalyGenerator",
    "CosineHardMiningLoss",
    "DecoderViTBlock",
    "DinomalyMLP",
    "DinomalyModel",
    "DiscriminativeSubNetwork",
    "DraemLoss",
    "FeatureAdapter",
    "GaussianBlur2d",
    "GlobalCosineHmAdaptiveLoss",
    "MultiVariateGaussian",
    "PadimMap",
    "PrototypeBlock",
    "ReconstructiveSubNetwork",
    "SSNLoss",
    "STFPMLoss",
    "SegmentationDetectionModule",
    "SmoothedMap",
    "StableAdamW",
    "StfpmMap",
    "TimmFeatureExtractor",
    "WarmCosineScheduler",
    "generate_perlin_noise",
]
