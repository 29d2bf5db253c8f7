"""Detectors behind one protocol, and their registry."""
