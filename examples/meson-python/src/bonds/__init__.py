"""Energies of bonds, and the forces that follow from them."""

import torch
from torch import Tensor, nn

from bonds.layers import Harmonic, Morse

__all__ = ["Harmonic", "Morse", "force"]


def force(energy: nn.Module, r: Tensor) -> Tensor:
    """Return the force along a bond of each length."""
    r = r.detach().requires_grad_()
    return -torch.autograd.grad(energy(r).sum(), r)[0]
