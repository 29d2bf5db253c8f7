"""Prefect flows, the composition root and the command line."""
