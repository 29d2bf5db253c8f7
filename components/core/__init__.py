"""Contracts, errors and small numerics that everything else stands on."""
