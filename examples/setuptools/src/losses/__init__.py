"""Robust losses, averaged over all elements."""

from torch import Tensor

from losses.layers.charbonnier import charbonnier
from losses.layers.focal import focal

__all__ = ["charbonnier_loss", "focal_loss"]


def charbonnier_loss(x: Tensor, target: Tensor, eps: float = 1e-3) -> Tensor:
    """Return the mean of Charbonnier's loss."""
    return charbonnier(x, target, eps=eps).mean()


def focal_loss(logit: Tensor, target: Tensor, gamma: float = 2.0) -> Tensor:
    """Return the mean of the focal loss."""
    return focal(logit, target, gamma=gamma).mean()
