"""The register stage: the model folder that others can load, and the only way by which we load it ourselves."""
