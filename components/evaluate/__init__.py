"""The evaluate stage: what a model does on the sealed test split."""
