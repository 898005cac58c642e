"""DiffRec and its forms: T (time-aware), L (latent) and LT, each a matter of settings."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffrec._tensors import on_host
from diffrec.anchors import LinearMap
from diffrec.checks import flag, whole
from diffrec.data import Csr, Interactions, empty_like, union
from diffrec.data.sparse_rows import SparseRows
from diffrec.data.stored import Stored
from diffrec.data.streamed import ParquetInteractions
from diffrec.latent import ItemGroups
from diffrec.ranking import LinearScores, Scores
from diffrec.recommenders.base import GuidedScores
from diffrec.recommenders.diffrec.anchor import Anchor
from diffrec.recommenders.diffrec.chain_views import AnchoredChain, GuidedChain, noise_to_use, noisy_scores, spreads
from diffrec.recommenders.diffrec.forecast import Forecast
from diffrec.recommenders.diffrec.groups import check_groups, group_items, grown_groups, require_used
from diffrec.recommenders.diffrec.held_anchor import HeldAnchor, best_scale, require_fits
from diffrec.recommenders.diffrec.network import Network, Views
from diffrec.recommenders.diffrec.objective import Objective, objective_of
from diffrec.recommenders.diffrec.over_items import OverItems
from diffrec.recommenders.diffrec.over_latents import OverLatents
from diffrec.recommenders.diffrec.plan import memory_plan
from diffrec.recommenders.diffrec.sequence import SequenceForecast
from diffrec.recommenders.diffrec.settings import OWN_VIEWS, DiffRecSettings
from diffrec.recommenders.explanation import Reasons, linear_reasons, past_items
from diffrec.recommenders.gradient_reasons import gradient_reasons
from diffrec.recommenders.guidance import Guidance
from diffrec.recommenders.histories import Reading, as_interactions
from diffrec.recommenders.limits import Limits, require_for_all
from diffrec.recommenders.rankings import blocks_of
from diffrec.recommenders.results import Top, Uncertainty
from diffrec.recommenders.stored_network import network_from
from diffrec.recommenders.trained import Trainable, TrainedRecommender
from diffrec.training import Plan, product_dtype, resolve_device, run_batches, seconds_per_epoch
from diffrec.training.generator import seeded

# In a file, the sizes of groups that have grown since the network's widths were shared out by them.
_SHARES = "group_shares"


class DiffRec(TrainedRecommender):
    """Diffusion recommender model (Wang et al., SIGIR 2023, arXiv 2304.04971).

    A user's history is an item vector x_0. Training adds Gaussian noise to it over T steps and teaches a denoiser to
    find x_0 again (eq. 10); inference runs the learnt reverse chain from the history itself, and the x_0 it ends with
    scores every item (section 3.4).

    With ``time_weights`` it is T-DiffRec (section 4.2): recent interactions weigh more. With ``groups`` it is L-DiffRec
    (section 4.1): items are clustered by their embeddings, a variational encoder per group compresses a history, the
    diffusion runs over the latents, and a decoder scores the items. With both it is LT-DiffRec.

    With ``objective="forecast"`` the forward process forgets the newest interactions: a history is cut at random, and
    the denoiser predicts what followed. With ``anchor`` the scores of a ridge regression in closed form are added to
    its own.

    Examples
    --------
    >>> import diffrec
    >>> data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
    >>> model = DiffRec(dims=(16,), epochs=5, progress=False).fit(data)
    >>> model.recommend(k=3).items.shape
    (60, 3)
    """

    settings_type = DiffRecSettings
    settings: DiffRecSettings
    _wanted: DiffRecSettings
    _network: Network
    _anchor: HeldAnchor | None = None
    # The usual interval of each item, (items,), where views compare with it.
    _intervals: NDArray[np.float32] | None = None
    # The anchor's map for the next fit, where it has been solved for already.
    _solved: LinearMap | None = None

    @property
    def variant(self) -> str:
        """Name of the form of DiffRec that the settings make.

        Examples
        --------
        >>> DiffRec(groups=2).variant, DiffRec(groups=2, time_weights="linear").variant
        ('l-diffrec', 'lt-diffrec')
        """
        s = self.settings
        latent, timed = s.groups is not None, s.time_weights is not None or s.objective == "forecast"
        form = "l" * latent + "t" * timed
        return f"{form}-diffrec" if form else "diffrec"

    # -- fitting -------------------------------------------------------------------------------------------------------

    def plan(self, data: Any, valid: Any = None) -> Plan:
        """Estimate what ``fit`` would take with the same arguments: parameters, memory, time of an epoch.

        ``fit`` makes the same estimate before it begins, and refuses what cannot fit.

        Parameters
        ----------
        data, valid
            As for ``fit``, in memory.

        Returns
        -------
        Plan
            The time comes from the speed of a small product and a small sum, measured on this machine; expect it
            to be right within a factor of two on an idle one.

        Examples
        --------
        >>> import diffrec
        >>> DiffRec(dims=(16,)).plan(diffrec.datasets.synthetic(users=60, items=40, seed=1)).parameters
        1606
        """
        s, train = self._wanted, as_interactions(data, "data")
        device = resolve_device(s.device)
        validated = valid is not None or s.holdout > 0
        plan = memory_plan(s, train.shape, len(train), device, validated, events=train.n_events)
        plan.require(device, _INSTEAD)
        rehearsal = DiffRec(**s.values())
        with seeded(s.seed, device):
            return plan.timed(rehearsal._rehearse(train, device))

    def _rehearse(self, train: Interactions, device: torch.device) -> float:
        """Time the first batches of an epoch with fresh weights, and an anchor of the right size: its seconds."""
        s, objective = self.settings, self._objective
        inputs = objective.inputs(train)
        items = train.shape[1]
        if s.anchor:
            self._anchor = HeldAnchor.blank(s, items)
        groups = None if s.groups is None else ItemGroups(torch.arange(items) * s.groups // items)
        self._network = network = self._fresh_network(items, groups, device)
        network.train()
        optimizer = torch.optim.AdamW(network.parameter_groups(), fused=True)
        batches = objective.batches(inputs, device)
        return seconds_per_epoch(network.loss, network.epoch_of(batches), len(batches), optimizer, self._dtype(device))

    def _refuse_streams(self) -> None:
        s = self.settings
        given = s.item_embeddings is not None and not isinstance(s.item_embeddings, str)
        whole = {
            "objective='forecast'": s.objective == "forecast",
            f"groups={s.groups} without item_embeddings": s.groups not in (None, 1) and not given,
            "anchor=True": s.anchor,
        }
        for setting, needed in whole.items():
            if needed:
                raise ValueError(
                    f"{setting} needs all interactions in memory, and the data is in files: read it by "
                    "ParquetInteractions(...).read(), or train variant='diffrec' (with time_weights='linear' newer "
                    "interactions weigh more)"
                )

    def _foresee(self, learn: Interactions | ParquetInteractions, device: torch.device, validated: bool) -> Plan:
        held = learn.events_held if isinstance(learn, ParquetInteractions) else len(learn)
        own, solved = self._share.part(learn.shape[1]).size, self._solved is not None
        plan = memory_plan(
            self.settings, learn.shape, held, device, validated, own, events=learn.n_events, solved=solved
        )
        plan.require(device, _INSTEAD, self._share.beside)
        return plan

    def _require_spreadable(self) -> None:
        s = self.settings
        for name, only in {"encoder_length": 0, "forward_steps": 0, "sampling_noise": False}.items():
            if getattr(s, name) != only:
                self._share.require_alone(f"{name}={getattr(s, name)!r}")

    def _holdout_by(self) -> str:
        return self._objective.held_out_by

    def _require_times(self, data: Interactions) -> None:
        try:
            self._objective.require_times(data)
        except ValueError as error:  # who named the variant alone has not heard of its objective
            raise ValueError(f"{self.variant}: {error}") from None

    def _prepare(self, learn: Interactions, device: torch.device) -> Trainable:
        s, objective, part = self.settings, objective_of(self.settings), self._share.part(learn.shape[1])
        inputs = objective.inputs(learn)
        self._intervals = objective.intervals(inputs)
        solved, self._solved, self._anchor = self._solved, None, None
        if s.anchor:
            if solved is None:
                solved = objective.equations(inputs, part).solve(s.anchor_l2)
            else:
                require_fits(solved, s.n_seen * learn.shape[1], learn.shape[1])
            self._anchor = HeldAnchor(solved.of_part(part))
        groups, before = None, self._before
        if before is not None and before.settings.groups != s.groups:
            raise ValueError(
                f"init was fitted with groups={before.settings.groups}, and these settings have groups={s.groups}"
            )
        known = None if before is None else before._network.groups
        if known is not None and self._start is not None:
            groups = ItemGroups(torch.from_numpy(grown_groups(known.of_item.numpy(), self._start)), known.shares)
        elif s.groups is not None:
            training = {"device": s.device, "deterministic": s.deterministic}
            of_item = group_items(learn, s.groups, s.item_embeddings, balance=s.group_balance, seed=s.seed, **training)
            groups = ItemGroups(self._share.of_first(of_item))
        self._network = network = self._fresh_network(learn.shape[1], groups, device)
        self._weights_changed()
        optimizer = torch.optim.AdamW(network.parameter_groups(), fused=True)
        batches, dtype = objective.batches(inputs, device, part), self._dtype(device)

        def run_epoch(epoch: int) -> float:
            return run_batches(network.loss, network.epoch_of(batches, epoch), optimizer, dtype, self._pace)

        return Trainable(network, run_epoch, {"optimizer": optimizer, "batches": batches, **network.changing()})

    @property
    def _before(self) -> "DiffRec | None":
        """The model whose weights a fit begins with, if any."""
        return None if self._start is None else cast(DiffRec, self._start.model)

    def anchored_by(self, anchor: Anchor) -> "DiffRec":
        """Take the map of a fitted anchor for the next fit, instead of solving its equations again.

        Parameters
        ----------
        anchor : Anchor
            Fitted on the data of that fit, with the same settings.

        Examples
        --------
        >>> import diffrec
        >>> data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
        >>> model = DiffRec(dims=(16,), epochs=2, anchor=True, holdout=0, progress=False)
        >>> twice = model.fit(data).score(), model.anchored_by(diffrec.Anchor().fit(data)).fit(data).score()
        >>> bool((twice[0] == twice[1]).all())
        True
        """
        self._solved = anchor.map_
        return self

    def _rows_by_item(self) -> dict[str, Tensor]:
        return self._network.rows_by_item()

    def _fresh_network(self, items: int, groups: ItemGroups | None, device: torch.device) -> Any:
        """Build the network that the settings ask for; ``groups`` are those of its items, if any."""
        s = self.settings
        if groups is not None:
            return OverLatents.of(s, groups, device, self._share.part(items))
        if s.denoiser == "sequence":
            return SequenceForecast.of(s, items, device, self._share.part(items))
        if s.objective == "forecast":
            anchor = None if self._anchor is None else self._anchor.map
            return Forecast.of(s, items, anchor, device, self._share.part(items))
        return OverItems.of(s, items, device, self._share.part(items))

    def _dtype(self, device: torch.device) -> torch.dtype:
        return product_dtype(self.settings.precision, device, on_processor=self._network.narrow_on_processor)

    def _weights_changed(self) -> None:
        self._network.changed()
        learnt = self._network.anchor_scale
        if self._anchor is not None and learnt is not None:
            self._anchor = self._anchor.weighing(learnt)

    def _finish(self, learn: Interactions, valid: Interactions | None) -> None:
        if self._anchor is None or self._network.anchor_scale is not None:
            return
        scale, before = self.settings.anchor_scale, self._before
        if scale is None and valid is None and before is not None and before._anchor is not None:
            scale = before._anchor.scale
        if scale is None and valid is not None:
            alone = AnchoredChain(self._network, None, self.settings.seed).scores
            about = self._share, learn, valid, self.settings.repeats
            scale = best_scale(self._anchor.map, alone, self._views, *about)
        self._anchor = self._anchor.weighing(self._network.anchor_start if scale is None else scale)

    def _chosen_on_validation(self) -> dict[str, Any]:
        held = self._anchor
        # A network that learns the weight by gradients learns it again.
        return {} if held is None or self._network.anchor_scale is not None else {"anchor_scale": held.scale}

    def _facts(self) -> dict[str, str | int | float]:
        s = self.settings
        anchored: dict[str, str | int | float] = {} if self._anchor is None else {"anchor_scale": self._anchor.scale}
        if s.groups is None:
            return anchored
        given = (
            "given" if s.item_embeddings is not None and not isinstance(s.item_embeddings, str) else s.item_embeddings
        )
        return anchored | {"item_embeddings": given or "svd"}

    # -- scores --------------------------------------------------------------------------------------------------------

    @property
    def _objective(self) -> Objective:
        return objective_of(self.settings, self._intervals)

    @property
    def _chain(self) -> AnchoredChain:
        return AnchoredChain(self._network, self._anchor, self.settings.seed)

    def _reading(self) -> Reading:
        return self._objective.reading

    def _read(self, block: Interactions) -> Csr:
        return self._objective.read(block)

    def _scores(self, block: Interactions) -> Scores:
        return self._chain.scores(self._views(block))

    def _views(self, block: Interactions) -> Views:
        """Histories as network and anchor see them, and of them what is read here where others read more."""
        views = self._objective.views(block)
        return replace(views, own=self._share.columns(views.x, block.shape[1]))

    @property
    def can_be_guided(self) -> bool:
        """Whether ``recommend`` takes ``steer``, ``novelty`` and ``diversity``: it does."""
        return True

    def _guide(self, guidance: Guidance) -> GuidedScores:
        chain = self._guided_chain(guidance)
        return lambda block, best: chain.scores(self._objective.views(block), block.matrix, best)

    def _guided_chain(self, guidance: Guidance) -> GuidedChain:
        return GuidedChain(self._chain, guidance, self.settings.steps if self._network.has_chain else 1)

    def _reasons(self, one: Interactions, items: NDArray[np.int64], points: int) -> Reasons:
        network, anchor, past = self._network, self._anchor, past_items(one)
        views = self._objective.views(one)

        def scores(rows: SparseRows, presence: Tensor | None) -> LinearScores:
            last = None if views.last is None else views.last.to(network.device).repeated(len(rows))
            return network.noiseless_scores(rows, last, presence)

        reasons = gradient_reasons(
            scores,
            views.x,
            past,
            items,
            points=points,
            device=network.device,
            last=None if views.last is None else views.last.items[0].numpy(),
        )
        if anchor is None:
            return reasons
        weights = anchor.map.between(views.signed.indices, items)
        return reasons.plus(linear_reasons(views.signed, weights, self._n_items, past), anchor.scale)

    def _item_vectors(self) -> Tensor:
        return self._network.item_vectors()

    # -- what only a chain can say -------------------------------------------------------------------------------------

    @property
    def has_chain(self) -> bool:
        """Whether it scores by a reverse chain, whose steps can be looked at; a forecast takes one step."""
        return self._fitted()._network.has_chain

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
        one, user_id = self._watchable(user)
        limits = Limits.of(self.train_.items, one.users.ids, allow, deny)
        guidance = Guidance.of(self.train_, steer, tags, novelty, diversity)
        seen = one.matrix if flag("exclude_seen", exclude_seen) else empty_like(one.matrix)
        best = limits.best(union(seen, one.dislikes), k)
        steps: list[Scores] = []
        views = self._objective.views(one)
        if guidance is None:
            self._chain.scores(views, on_step=steps.append)
        else:
            self._guided_chain(guidance).scores(views, one.matrix, best, steps.append)
        items, values = (np.concatenate(parts) for parts in zip(*map(best, steps), strict=True))
        return Top.of(np.repeat(user_id, len(steps)), items, values, self.train_.items, self.train_.titles)

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
        one, _ = self._watchable(user)
        steps: list[Scores] = []
        self._chain.scores(self._objective.views(one), on_step=steps.append)
        return np.concatenate([on_host(step.block(0, self._n_items)) for step in steps])

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
            As for ``recommend``, the same for all users; what they leave out is not counted in ranks.

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
        require_for_all(allow=allow, deny=deny)
        self._share.require_whole("uncertainty")
        steps, sampling = noise_to_use(self._fitted()._network, self.settings, forward_steps, sampling_noise)
        seed = self.settings.seed if seed is None else whole(0, 2**63 - 1)("seed", seed)
        histories, rows, ids = self._histories(users)
        denied = Limits.of(self.train_.items, ids, allow, deny).denied
        seen = histories.matrix if flag("exclude_seen", exclude_seen) else empty_like(histories.matrix)
        seen = union(seen, histories.dislikes)
        wanted = None if items is None else self.train_.items.rows(items)
        run = self._network.noisy(steps, sampling_noise=sampling)
        distinct, place = np.unique(rows, return_inverse=True)
        width = k if wanted is None else len(wanted)
        ranked = np.empty((len(distinct), width), dtype=np.int32)
        numbers = [np.empty(ranked.shape, dtype=np.float32) for _ in range(4)]
        for where, block in blocks_of(distinct):
            views = self._objective.views(histories.take(block))
            parts = noisy_scores(self._chain, views, run, chains, seed)
            for out, found in zip([ranked, *numbers], spreads(parts, k, wanted, seen[block], denied), strict=True):
                out[where] = found
        return Uncertainty.of(ids, ranked[place], [part[place] for part in numbers], self.train_.items, chains)

    def _watchable(self, user: Any) -> tuple[Interactions, Any]:
        """The history and id of one user, where there is a chain to watch."""
        self._share.require_whole("to watch a chain")
        histories, row, user_id = self._one(user)
        if not self._network.has_chain:
            raise TypeError(f"{type(self).__name__} with these settings scores in one step: there is no chain to watch")
        return histories.take([row]), user_id

    @property
    def item_groups_(self) -> NDArray[np.int64]:
        """The group of each item, int64 (items,), of a model fitted with ``groups``.

        Raises
        ------
        TypeError
            When it has none.
        """
        groups = self._fitted()._network.groups
        if groups is None:
            raise TypeError(
                f"{type(self).__name__} with these settings has no groups of items; groups=2 would make two"
            )
        found: NDArray[np.int64] = groups.of_item.cpu().numpy()
        return found

    # -- files ---------------------------------------------------------------------------------------------------------

    def _state(self) -> dict[str, Tensor]:
        state = self._network.state_dict()
        if self._anchor is not None:
            state |= self._anchor.state()
        if self._intervals is not None:
            state["intervals"] = torch.from_numpy(self._intervals)
        groups = self._network.groups
        if groups is not None and groups.shares != groups.sizes:
            state[_SHARES] = torch.tensor(groups.shares)
        return state

    def _restore(self, state: Stored) -> None:
        s, items = self.settings, self._n_items
        if s.own_views is None and "usual" in s.own_terms and "intervals" not in state:
            # By default an item was compared with the user's own interval before it was with that of all.
            older = tuple("due" if view == "usual" else view for view in OWN_VIEWS)
            self.settings = s = s.replaced({"own_views": older})
        if s.anchor:
            self._anchor = HeldAnchor.restored(state, s, items, self._share.part(items))
        if "usual" in s.own_terms:
            self._intervals = state.take("intervals", (items,), low=float(np.finfo(np.float32).tiny))
        groups = None
        if s.groups is not None:
            check_groups(s.groups, items)
            of_item = torch.from_numpy(
                state.take("autoencoder.group_of_item", (items,), np.int64, low=0, high=s.groups - 1)
            )
            require_used(of_item, s.groups)
            shares = state.take(_SHARES, (s.groups,), np.int64, low=1, high=items) if _SHARES in state else None
            groups = ItemGroups(of_item, None if shares is None else tuple(shares.tolist()))
        self._network = network = network_from(
            state, partial(self._fresh_network, items, groups), self._share.device(s.device)
        )
        self._share.hold(network)
        if self._anchor is not None and network.anchor_scale is not None:
            self._anchor.require_learnt(network.anchor_scale)
        self._weights_changed()


_INSTEAD = "use smaller dims or batch_size, or l-diffrec with groups"
