"""The outside systems, one importing module each: databases, MLflow, DVC, S3."""
