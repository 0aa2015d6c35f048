"""The README's example, on the file that the README's command has just written."""

import sys

sys.path.insert(0, ".")

import torch
from torch import nn

from generated.square import Square


class Net(nn.Module):
    """One layer and a sum."""

    def __init__(self):
        super().__init__()
        self.layer1 = Square()

    def forward(self, x1, x2):
        """Return the sum of the layer's output."""
        return self.layer1(x1, x2).sum()


x1 = torch.tensor([1.0, 2, 3], requires_grad=True)
x2 = torch.tensor([4.0, 5, 6], requires_grad=True)
total = Net()(x1, x2)
total.backward()
assert total.item() == 113
assert x1.grad.tolist() == [3, 12, 27]
assert x2.grad.tolist() == [8, 10, 12]
print(total.item(), x1.grad.tolist(), x2.grad.tolist())
