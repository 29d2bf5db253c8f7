"""The framework-free parts of Linewright: stages, detectors, adapters."""
