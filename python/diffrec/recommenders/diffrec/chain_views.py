"""Questions to a reverse chain: its scores, its steps, guidance on the way, and how sure it is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diffrec.checks import flag, whole
from diffrec.data import Csr
from diffrec.diffusion import RowNoise
from diffrec.ranking import (
    NO_ITEM,
    AddedScores,
    Scores,
    WeightedScores,
    deviations,
    ranks_at,
    scores_at,
    top_k,
)
from diffrec.recommenders.diffrec.held_anchor import HeldAnchor
from diffrec.recommenders.diffrec.network import Network, Run, StepGuide, Views
from diffrec.recommenders.diffrec.settings import DiffRecSettings
from diffrec.recommenders.guidance import Best, Guidance
from diffrec.recommenders.guide import Guide


@dataclass(frozen=True)
class AnchoredChain:
    """A network as it ranks, and an anchor whose scores are added at every step.

    Parameters
    ----------
    network : Network
        Trained.
    anchor : HeldAnchor or None
        From the same views to the items.
    seed : int
        Draws the noise at inference, if any.
    """

    network: Network
    anchor: HeldAnchor | None
    seed: int

    @torch.no_grad()
    def scores(
        self,
        views: Views,
        *,
        run: Run | None = None,
        seed: int | None = None,
        guide: StepGuide | None = None,
        on_step: Callable[[Scores], None] | None = None,
    ) -> Scores:
        """Score histories, by another run of the network or with another seed where one is given."""

        def anchored(scores: Scores) -> Scores:
            if self.anchor is None or self.anchor.scale == 0:
                return scores
            return AddedScores(scores, self.anchor.map.scores(views.signed), self.anchor.scale)

        scores = (run or self.network.run)(
            *views.on(self.network.device),
            RowNoise(self.seed if seed is None else seed, views.keys),
            guide=None if guide is None else lambda scores: guide(anchored(scores)),
            on_step=None if on_step is None else lambda scores: on_step(anchored(scores)),
        )
        return anchored(scores)


class GuidedChain:
    """A chain under guidance, prepared once for any number of histories.

    Parameters
    ----------
    chain : AnchoredChain
        What is guided.
    guidance : Guidance
        Where to.
    steps : int
        Steps of the chain; 1 for a forecast.
    """

    def __init__(self, chain: AnchoredChain, guidance: Guidance, steps: int) -> None:
        self._chain = chain
        self._guide = Guide(guidance, chain.network.item_vectors(), steps)
        self._run = chain.network.along(self._guide.directions)

    def scores(self, views: Views, taken: Csr, best: Best, on_step: Callable[[Scores], None] | None = None) -> Scores:
        """Score n histories.

        Parameters
        ----------
        views : Views
            Of the histories.
        taken : scipy.sparse CSR
            (n, items), the histories: weights count in standard deviations of the scores of what is not in them.
        best : callable
            Finds the best items of scores.
        on_step : callable, optional
            Is shown what is scored after every step.
        """
        unit = deviations(self._chain.scores(views), taken).to(self._chain.network.device)
        return self._chain.scores(views, run=self._run, guide=self._guide.start(unit, best), on_step=on_step)


def noise_to_use(
    network: Network, s: DiffRecSettings, forward_steps: int | None, sampling_noise: bool | None
) -> tuple[int, bool]:
    """The noise at inference to tell how sure a chain is by, checked to be some.

    Raises
    ------
    ValueError
        When there is none, or a forecast is to have noise in its last step.
    """
    if forward_steps is None and sampling_noise is None and not (s.forward_steps or s.sampling_noise):
        forward_steps = s.steps
    steps = s.forward_steps if forward_steps is None else whole(0, s.steps)("forward_steps", forward_steps)
    sampling = s.sampling_noise if sampling_noise is None else flag("sampling_noise", sampling_noise)
    if not network.process.noisy:
        raise ValueError("uncertainty needs noise, and noise_scale=0 leaves none: fit with noise_scale above 0")
    if sampling and not network.has_chain:
        raise ValueError("sampling_noise must be False for a forecast, whose one step ends without; use forward_steps")
    # The last step adds none.
    if steps == 0 and not (sampling and s.steps > 1):
        raise ValueError(
            f"uncertainty needs noise, and without it all chains are one: give forward_steps (1 to {s.steps})"
            + (" or sampling_noise=True" if network.has_chain and s.steps > 1 else "")
        )
    return steps, sampling


def noisy_scores(chain: AnchoredChain, views: Views, run: Run, chains: int, seed: int) -> list[Scores]:
    """Scores of the same histories by several chains with fresh noise."""
    seeds = np.random.SeedSequence(seed).generate_state(chains, np.uint64) >> np.uint64(1)
    return [chain.scores(views, run=run, seed=own) for own in seeds.tolist()]


def spreads(
    parts: Sequence[Scores],
    k: int,
    items: NDArray[np.int64] | None,
    seen: Csr,
    denied: NDArray[np.bool_] | None,
) -> tuple[NDArray[Any], ...]:
    """Read some items' scores and ranks in every chain.

    Parameters
    ----------
    parts : sequence of Scores
        A chain's scores of n users each.
    k : int
        How many items, where none are given.
    items : int64 (k,), optional
        Which.
    seen, denied
        What is not ranked; see ``top_k``.

    Returns
    -------
    tuple of ndarray
        Item rows int32 (n, k), then float32 (n, k): scores and ranks, each mean before deviation.
    """
    if items is None:
        ranked = top_k(WeightedScores.mean(parts), k, seen, denied)[0]
    else:
        ranked = np.tile(items.astype(np.int32), (parts[0].shape[0], 1))
    found: list[NDArray[Any]] = [ranked]
    # Sums in float64: chains differ by little of what a score is.
    scores = torch.from_numpy(np.stack([scores_at(part, ranked) for part in parts])).double()
    places = torch.stack([ranks_at(part, ranked, seen, denied) for part in parts]).double()
    for values in (scores, places):
        for read in (values.mean(dim=0), values.std(dim=0)):
            numbers = read.float().cpu().numpy()
            numbers[ranked == NO_ITEM] = np.nan
            found.append(numbers)
    return tuple(found)
