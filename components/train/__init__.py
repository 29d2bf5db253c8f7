"""The train stage: fit the best configuration and calibrate its threshold."""
