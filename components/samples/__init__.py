"""Bytes become samples: images, windows of tables, and sets of them that detectors read."""
