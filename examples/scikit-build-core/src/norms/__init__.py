"""Normalisations over the last dimension."""

from norms.layers import RmsNorm, Standardize

__all__ = ["RmsNorm", "Standardize"]
