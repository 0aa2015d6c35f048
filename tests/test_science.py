"""Layers where scientists use them: forces from energies, equations in losses; by double backward."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

import fngen

LENNARD_JONES = "4*epsilon*((sigma/r)**12 - (sigma/r)**6)"
MORSE = "D*(1 - exp(-a*(r - r_e)))**2"


def atoms(n: int = 6) -> Tensor:
    """Return positions on a jittered grid, none too near another."""
    grid = torch.stack(torch.meshgrid(*[torch.arange(3.0)] * 3, indexing="ij"), -1).reshape(-1, 3)
    generator = torch.Generator().manual_seed(0)
    jitter = 0.2 * torch.rand(n, 3, generator=generator, dtype=torch.float64)
    return 1.2 * grid[:n].double() + jitter


def forces(potential: Callable[[Tensor], Tensor], positions: Tensor) -> Tensor:
    """Return minus the gradient of the energy, a graph behind it."""
    i, j = torch.triu_indices(len(positions), len(positions), 1)
    distances = (positions[i] - positions[j]).norm(dim=-1)
    (slope,) = torch.autograd.grad(potential(distances).sum(), positions, create_graph=True)
    return -slope


def force_loss(potential: Callable[[Tensor], Tensor], parameters: Iterable[Tensor]) -> tuple[Tensor, ...]:
    positions = atoms().requires_grad_()
    target = torch.linspace(-1, 1, positions.numel(), dtype=torch.float64).reshape(positions.shape)
    loss = (forces(potential, positions) - target).square().mean()
    return (loss, *torch.autograd.grad(loss, [*parameters, positions]))


def test_force_matching_with_lennard_jones() -> None:
    params = {"epsilon": 1.1, "sigma": 0.95}
    layer = fngen.compile(LENNARD_JONES, name="lj", params=params).Lj(dtype=torch.float64)
    epsilon, sigma = (torch.tensor([v], dtype=torch.float64, requires_grad=True) for v in params.values())
    plain = force_loss(lambda r: 4 * epsilon * ((sigma / r) ** 12 - (sigma / r) ** 6), [epsilon, sigma])
    torch.testing.assert_close(force_loss(layer, layer.parameters()), plain, rtol=1e-9, atol=1e-9)


def test_force_matching_finds_the_parameters() -> None:
    truth = {"D": 4.0, "a": 1.5, "r_e": 1.3}
    made = fngen.compile(MORSE, name="morse", params={"D": 3.0, "a": 1.0, "r_e": 1.0}).Morse
    layer, judge = made(dtype=torch.float64), made(dtype=torch.float64)
    with torch.no_grad():
        for p, value in zip(judge.parameters(), truth.values(), strict=True):
            p.fill_(value)
    wanted = forces(judge, atoms().requires_grad_()).detach()
    optimizer = torch.optim.LBFGS(layer.parameters(), lr=0.5, max_iter=300, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        error = (forces(layer, atoms().requires_grad_()) - wanted).square().mean()
        error.backward()
        return error

    optimizer.step(loss)
    found = [p.item() for p in layer.parameters()]
    torch.testing.assert_close(found, list(truth.values()), rtol=1e-4, atol=1e-4)


def test_a_loss_with_a_laplacian() -> None:
    """A physics-informed loss: a network with a generated activation, third derivatives in training."""
    results = []
    for activation in (fngen.compile("x*sigmoid(beta*x)", name="act", params={"beta": 1.0}).Act(), None):
        torch.manual_seed(0)
        beta = nn.Parameter(torch.ones(1))
        plain = _Plain(beta) if activation is None else activation
        net = nn.Sequential(nn.Linear(2, 8), plain, nn.Linear(8, 8), plain, nn.Linear(8, 1)).double()
        points = torch.rand(10, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        points.requires_grad_()
        (slope,) = torch.autograd.grad(net(points).sum(), points, create_graph=True)
        curvature = sum(
            torch.autograd.grad(slope[:, k].sum(), points, create_graph=True)[0][:, k] for k in range(2)
        )
        loss = (curvature + torch.sin(points).sum(-1)).square().mean()
        slopes = torch.autograd.grad(loss, list(net.parameters()), allow_unused=True, materialize_grads=True)
        results.append([loss, *slopes])
    torch.testing.assert_close(*results, rtol=1e-9, atol=1e-10)


class _Plain(nn.Module):
    def __init__(self, beta: nn.Parameter) -> None:
        super().__init__()
        self.beta = beta

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.beta * x)
