"""Figures of merit, their intervals, and thresholds: pure numerics on plain arrays."""
