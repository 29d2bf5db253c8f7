"""The domain knowledge base: sourced heuristics as YAML, one file a detector, and who they are for."""
