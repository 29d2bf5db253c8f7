"""Image detectors built from anomalib's networks and losses, on offline backbones; `parts` alone imports anomalib.

Features come from `Backbone` and not from a network that anomalib builds by name, since it would download its weights.
Training is a loop of ours: seeded, of a fixed number of steps, without Lightning, whose Engine would validate on test
images and take its threshold from them.

EfficientAD is not among them: its teacher's weights and the ImageNet images that it trains beside are in no package.
STFPM, a student and a teacher too, needs neither.
"""
