"""The export stage: a model as a folder that runs with no Linewright, and the gate that compares the two."""
