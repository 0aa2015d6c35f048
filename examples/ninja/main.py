"""Print the force in a bond at a few lengths."""

import torch

from generated import Morse

length = torch.linspace(0.6, 1.4, 5, requires_grad=True)
Morse()(length, torch.tensor(0.74)).sum().backward()
print(*(f"{force:.3f}" for force in -length.grad))
