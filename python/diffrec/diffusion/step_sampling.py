"""Samplers of the diffusion step that each training row is noised to."""

from typing import Any, Protocol

import torch
from torch import Tensor

STEP_SAMPLINGS = ("uniform", "importance")


class StepSampler(Protocol):
    """Draws steps and learns from the losses they led to."""

    def sample(self, n: int) -> tuple[Tensor, Tensor]:
        """Return steps int64 (n,) and, for each, its probability times the number of steps, float64 (n,)."""
        ...

    def update(self, t: Tensor, losses: Tensor) -> None:
        """Note the losses (n,) that rows at steps ``t`` (n,) had."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return what it has learnt."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any], /) -> None:
        """Take back what it had learnt."""
        ...


class UniformSteps:
    """Every step equally often.

    Examples
    --------
    >>> t, scaled_probability = UniformSteps(5).sample(3)
    >>> scaled_probability
    tensor([1., 1., 1.], dtype=torch.float64)
    """

    def __init__(self, steps: int, device: torch.device | str = "cpu") -> None:
        self.steps = steps
        self.device = device

    def sample(self, n: int) -> tuple[Tensor, Tensor]:
        """Return steps (n,) and ones (n,)."""
        t = torch.randint(self.steps, (n,), device=self.device)
        return t, torch.ones(n, dtype=torch.float64, device=self.device)

    def update(self, t: Tensor, losses: Tensor) -> None:
        """Uniform sampling has nothing to learn."""

    def state_dict(self) -> dict[str, Any]:
        """Return nothing."""
        return {}

    def load_state_dict(self, _state: dict[str, Any], /) -> None:
        """Take nothing back."""


class ImportanceSteps:
    """Steps in proportion to the root mean square of their latest losses (Nichol & Dhariwal 2021; the paper's eq. 12).

    Until every step has seen ``history`` losses the draw is uniform. A share ``uniform`` of the probability is always
    spread evenly, so that no step is forgotten.

    Parameters
    ----------
    steps : int
        T.
    history : int
        How many of a step's latest losses count.
    uniform : float
        Share of the probability that is spread evenly.
    device : torch.device or str
        Where the losses live; nothing is moved to the host.

    Examples
    --------
    >>> sampler = ImportanceSteps(2, history=1)
    >>> sampler.update(torch.tensor([0, 1]), torch.tensor([3.0, 1.0]))
    >>> sampler.probabilities()
    tensor([0.7497, 0.2502], dtype=torch.float64)
    """

    def __init__(
        self, steps: int, history: int = 10, uniform: float = 0.001, device: torch.device | str = "cpu"
    ) -> None:
        self.uniform = uniform
        # A ring per step: only the mean square is used, so the order inside does not matter.
        self.losses = torch.zeros(steps, history, dtype=torch.float64, device=device)
        self.counts = torch.zeros(steps, dtype=torch.int64, device=device)

    def probabilities(self) -> Tensor:
        """Probability of each step, float64 (steps,)."""
        steps, history = self.losses.shape
        rms = self.losses.square().mean(dim=1).sqrt()
        learnt = (1.0 - self.uniform) * rms / rms.sum() + self.uniform / steps
        # torch.where on tensors, not an if: a GPU need not tell the host how far it is.
        return torch.where((self.counts >= history).all() & (rms.sum() > 0), learnt, 1.0 / steps)

    def sample(self, n: int) -> tuple[Tensor, Tensor]:
        """Return steps (n,) and their probabilities times the number of steps (n,)."""
        probabilities = self.probabilities()
        t = torch.multinomial(probabilities, n, replacement=True)
        return t, probabilities[t] * len(probabilities)

    def state_dict(self) -> dict[str, Any]:
        """Return the latest losses of each step, and how many it has had."""
        return {"losses": self.losses, "counts": self.counts}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Take back what ``state_dict`` gave."""
        self.losses.copy_(state["losses"])
        self.counts.copy_(state["counts"])

    def update(self, t: Tensor, losses: Tensor) -> None:
        """Put the losses (n,) of rows at steps ``t`` (n,) into the rings, later rows over earlier ones."""
        steps, history = self.losses.shape
        order = torch.argsort(t, stable=True)
        t, losses = t[order], losses[order].double()
        # Not bincount, which has a GPU tell the largest step to the host.
        sizes = (t[:, None] == torch.arange(steps, device=t.device)).sum(dim=0)
        rank = torch.arange(len(t), device=t.device) - (torch.cumsum(sizes, 0) - sizes)[t]
        slot = (self.counts[t] + rank) % history
        # More than a ring of rows at one step would write a slot twice, in no certain order: the latest ones win.
        # The others go to a spare column, so that no shape depends on the data.
        slot = torch.where(rank >= sizes[t] - history, slot, history)
        padded = torch.cat([self.losses, self.losses.new_zeros(steps, 1)], dim=1)
        padded[t, slot] = losses
        self.losses = padded[:, :history].contiguous()
        self.counts += sizes
