"""A gated feed-forward block of a transformer, with a learned slope for each channel."""

from torch import Tensor, nn

from gates.layers import Gate, SquaredRelu

__all__ = ["FeedForward", "Gate", "SquaredRelu"]


class FeedForward(nn.Module):
    """Two projections, gated, and one back."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.up = nn.Linear(width, 2 * hidden)
        self.gate = Gate(hidden)
        self.down = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's output, as wide as its input."""
        a, b = self.up(x).chunk(2, dim=-1)
        return self.down(self.gate(a, b))
