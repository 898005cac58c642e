"""What can be asked of a reverse chain: scores, its steps, guidance on the way, and how sure it is."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffrec.anchors import AddedScores, LinearMap
from diffrec.data import Csr, Interactions
from diffrec.diffusion import SparseRows
from diffrec.ranking import Scores, deviations, top_k
from diffrec.recommenders.base import USER_BLOCK, GuidedScores, nothing_of
from diffrec.recommenders.diffrec_settings import DiffRecSettings
from diffrec.recommenders.guidance import Best, Guidance, Guide
from diffrec.recommenders.item_diffusion import ItemDiffusion
from diffrec.recommenders.item_forecast import ItemForecast
from diffrec.recommenders.latent_diffusion import LatentDiffusion
from diffrec.recommenders.run import Run, ScoresGuide
from diffrec.recommenders.settings import flag, whole
from diffrec.recommenders.top import Top
from diffrec.recommenders.trained import TrainedRecommender
from diffrec.recommenders.uncertainty import Uncertainty, read_chains


class ReverseChain(TrainedRecommender):
    """Scores by a reverse chain, over items or latents, or by the one step of a forecast.

    A subclass makes the model, and what it sees of histories (``_vectors``).
    """

    settings: DiffRecSettings
    _model: ItemDiffusion | ItemForecast | LatentDiffusion
    _anchor: LinearMap | None = None
    # Weight of the anchor's scores; 0 until it is known.
    _anchor_scale: float = 0.0

    @abstractmethod
    def _vectors(self, histories: Interactions, start: int, stop: int) -> tuple[Csr, Tensor | None]:
        """What denoiser and anchor see of some users: their vectors, and their last items for an encoder."""

    def reverse_steps(
        self,
        user: Any,
        k: int = 20,
        *,
        exclude_seen: bool = True,
        allow: Iterable[Any] | None = None,
        deny: Iterable[Any] | None = None,
        steer: Mapping[Any, float] | None = None,
        tags: Mapping[Any, Iterable[Any]] | None = None,
        novelty: float = 0.0,
        diversity: float = 0.0,
    ) -> Top:
        """The best items at every step of one user's reverse chain.

        Parameters
        ----------
        user : id, row number, Interactions or matrix
            One user, as for ``recommend``.
        k, exclude_seen, allow, deny, steer, tags, novelty, diversity
            As for ``recommend``.

        Returns
        -------
        Top
            A row per step, in their order: (steps, k). The last is what ``recommend`` gives.

        Raises
        ------
        TypeError
            When there is no chain: a forecast takes one step.
        ValueError
            As ``recommend``, and when more than one user is given.

        Examples
        --------
        >>> import diffrec
        >>> data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
        >>> model = diffrec.DiffRec(dims=(16,), epochs=2, steps=5, progress=False).fit(data)
        >>> steps = model.reverse_steps(3, k=2)
        >>> steps.items.shape, bool((steps.items[-1] == model.recommend(3, k=2).items).all())
        ((5, 2), True)
        """
        k = whole(1)("k", k)
        histories, rows, ids = self._one_with_chain(user)
        denied = self._denied(allow, deny)
        guidance = Guidance.of(self.train_, steer, tags, novelty, diversity)
        seen = histories.matrix if exclude_seen else nothing_of(histories)
        best = partial(top_k, k=k, seen=seen, rows=rows, denied=denied)
        if guidance is None:
            found = self._steps_of(histories, rows)
        else:
            found = []
            self._guided_scores(*self._prepared_guide(guidance), histories, rows, best, found.append)
        items, values = (np.concatenate(parts) for parts in zip(*map(best, found), strict=True))
        return Top.of(ids.repeat(len(found)), items, values, self.train_.items)

    def step_scores(self, user: Any) -> NDArray[np.float32]:
        """Score every item at every step of one user's reverse chain.

        Parameters
        ----------
        user : id, row number, Interactions or matrix
            One user, as for ``recommend``.

        Returns
        -------
        ndarray
            float32 (steps, items): what each x_t scores, from x_{T-1} to x_0. The last row is what ``score`` gives.

        Raises
        ------
        TypeError
            When there is no chain: a forecast takes one step.
        ValueError
            When the user is unknown, or more than one is given.

        Examples
        --------
        >>> import diffrec
        >>> data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
        >>> model = diffrec.DiffRec(dims=(16,), epochs=2, steps=5, progress=False).fit(data)
        >>> scores = model.step_scores(3)
        >>> scores.shape, bool(np.allclose(scores[-1], model.score(3)[0]))
        ((5, 40), True)
        """
        histories, rows, _ = self._one_with_chain(user)
        found = self._steps_of(histories, rows)
        scores: NDArray[np.float32] = torch.cat([step.block(0, self._n_items) for step in found]).cpu().numpy()
        return scores

    def uncertainty(
        self,
        users: Any = None,
        k: int = 20,
        *,
        items: Any = None,
        chains: int = 16,
        forward_steps: int | None = None,
        sampling_noise: bool | None = None,
        seed: int | None = None,
        exclude_seen: bool = True,
        allow: Iterable[Any] | None = None,
        deny: Iterable[Any] | None = None,
    ) -> Uncertainty:
        """Say how sure scores and ranks are: their spread over several chains with fresh noise.

        Every chain noises the history to step T' (``forward_steps``), adds the posterior's noise on its way
        (``sampling_noise``), or both; without noise all chains would be one. A forecast is one step: it starts from the
        noised history as in training.

        Parameters
        ----------
        users : as for ``recommend``
        k : int
            How many items: the best by the mean of the chains' scores.
        items : item ids, optional
            These instead, for every user.
        chains : int
            How many, at least 2.
        forward_steps, sampling_noise : optional
            In place of the settings of these names; a fit does not depend on them. Where neither the settings nor
            these ask for noise, T' is T.
        seed : int, optional
            Draws the noise; by default the setting.
        exclude_seen, allow, deny
            As for ``recommend``; what they leave out is not counted in ranks.

        Returns
        -------
        Uncertainty
            ``scores`` and ``ranks`` (n, k), means over the chains, and their standard deviations.

        Raises
        ------
        ValueError
            When there is no noise, or as for ``recommend``.

        Examples
        --------
        >>> import diffrec
        >>> data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
        >>> model = diffrec.DiffRec(dims=(16,), epochs=2, noise_scale=1.0, progress=False).fit(data)
        >>> sure = model.uncertainty([0, 1], k=3, chains=4, forward_steps=5)
        >>> sure.scores.shape, bool((sure.score_stds > 0).all())
        ((2, 3), True)
        """
        k, chains = whole(1)("k", k), whole(2)("chains", chains)
        noise = self._noise(forward_steps, sampling_noise)
        seed = self.settings.seed if seed is None else whole(0, 2**63 - 1)("seed", seed)
        histories, rows, ids = self._histories(users)
        denied = self._denied(allow, deny)
        seen = histories.matrix if exclude_seen else nothing_of(histories)
        wanted = None if items is None else self.train_.items.rows(items)
        run = self._model.noisy(noise[0], sampling_noise=noise[1])
        distinct, place = np.unique(rows, return_inverse=True)
        found = []
        for first in range(0, len(distinct), USER_BLOCK):
            block = distinct[first : first + USER_BLOCK]
            whose = self._run_of(histories, block)
            with torch.no_grad():
                parts = [self._watched(*whose, run=run, seed=_seed_of(seed, chain, first)) for chain in range(chains)]
            found.append(read_chains(parts, k, wanted, seen, block, denied))
        ranked, *numbers = (np.concatenate(part)[place] for part in zip(*found, strict=True))
        return Uncertainty.of(ids, ranked, numbers, self.train_.items, chains)

    def _one_with_chain(self, user: Any) -> tuple[Interactions, NDArray[np.int64], NDArray[Any]]:
        """The history, row and id of one user, where there is a chain to watch."""
        histories, rows, ids = self._histories(user)
        if len(rows) != 1:
            raise ValueError(f"user must be one user, got {len(rows)}")
        if not self._has_chain:
            raise TypeError(f"{type(self).__name__} with these settings scores in one step: there is no chain to watch")
        return histories, rows, ids

    @torch.no_grad()
    def _steps_of(self, histories: Interactions, rows: NDArray[np.int64]) -> list[Scores]:
        """What every step of one user's chain scores."""
        found: list[Scores] = []
        self._watched(histories, int(rows[0]), int(rows[0]) + 1, on_step=found.append)
        return found

    def _noise(self, forward_steps: int | None, sampling_noise: bool | None) -> tuple[int, bool]:
        """The noise at inference to use, checked to be some."""
        s = self.settings
        if forward_steps is None and sampling_noise is None and not (s.forward_steps or s.sampling_noise):
            forward_steps = s.steps
        steps = s.forward_steps if forward_steps is None else whole(0, s.steps)("forward_steps", forward_steps)
        sampling = s.sampling_noise if sampling_noise is None else flag("sampling_noise", sampling_noise)
        if not self._model.process.noisy:
            raise ValueError("uncertainty needs noise, and noise_scale=0 leaves none: fit with noise_scale above 0")
        if sampling and not self._has_chain:
            raise ValueError(
                "sampling_noise must be False for a forecast, whose one step ends without; use forward_steps"
            )
        # The last step adds none.
        if steps == 0 and not (sampling and s.steps > 1):
            raise ValueError(
                f"uncertainty needs noise, and without it all chains are one: give forward_steps (1 to {s.steps})"
                + (" or sampling_noise=True" if self._has_chain and s.steps > 1 else "")
            )
        return steps, sampling

    @property
    def _has_chain(self) -> bool:
        return not isinstance(self._model, ItemForecast)

    @property
    def _scale_of_anchor(self) -> float:
        return self._model.anchor_scale if isinstance(self._model, ItemForecast) else self._anchor_scale

    def _scores(self, histories: Interactions, start: int, stop: int) -> Scores:
        return self._watched(histories, start, stop)

    def _guided(self, guidance: Guidance) -> GuidedScores:
        return partial(self._guided_scores, *self._prepared_guide(guidance))

    def _prepared_guide(self, guidance: Guidance) -> tuple[Guide, Run]:
        guide = Guide(guidance, self._model.item_vectors(), self.settings.steps if self._has_chain else 1)
        return guide, self._model.along(guide.directions)

    @torch.no_grad()
    def _guided_scores(
        self,
        guide: Guide,
        run: Run,
        histories: Interactions,
        rows: NDArray[np.int64],
        best: Best,
        on_step: Callable[[Scores], None] | None = None,
    ) -> Scores:
        whose = self._run_of(histories, rows)
        taken = whose[0].matrix[whose[1] : whose[2]]
        unit = deviations(self._watched(*whose), taken).to(self._model.device)
        return self._watched(*whose, run=run, guide=guide.start(unit, best), on_step=on_step)

    def _watched(
        self,
        histories: Interactions,
        start: int,
        stop: int,
        *,
        run: Run | None = None,
        seed: int | None = None,
        guide: ScoresGuide | None = None,
        on_step: Callable[[Scores], None] | None = None,
    ) -> Scores:
        """Scores of the users in rows ``start:stop``, the anchor's included: those of the model, or of another run."""
        model, anchor, scale = self._model, self._anchor, self._scale_of_anchor
        vectors, last = self._vectors(histories, start, stop)
        x = SparseRows.from_csr(vectors.indptr, vectors.indices, vectors.data, 0, stop - start, model.device)

        def anchored(scores: Scores) -> Scores:
            return scores if anchor is None or scale == 0 else AddedScores(scores, anchor.scores(vectors), scale)

        scores = (run or model.run)(
            x,
            None if last is None else last.to(model.device),
            seed=self.settings.seed + start if seed is None else seed,
            guide=None if guide is None else lambda scores: guide(anchored(scores)),
            on_step=None if on_step is None else lambda scores: on_step(anchored(scores)),
        )
        return anchored(scores)


def _seed_of(seed: int, chain: int, first: int) -> int:
    """A seed for the noise of a chain over the block of users that begins at ``first``."""
    return int(np.random.SeedSequence((seed, chain, first)).generate_state(1, np.uint64)[0] >> 1)
