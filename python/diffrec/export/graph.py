"""The graph: histories in, each one's best items and their scores out."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from diffrec.checks import flag, whole
from diffrec.data.stored import Stored
from diffrec.diffusion import PaddedRows
from diffrec.export.scorers import GraphScores, scorer_of
from diffrec.ranking import NO_ITEM
from diffrec.recommenders import Recommender

if TYPE_CHECKING:
    from torch.export import ExportedProgram

# Weights of a view below this are left out, as `Timeline.before` does.
NEGLIGIBLE = 1e-4
# Older ones end in errors of their own for some models.
OLDEST_TORCH = (2, 10)
INPUTS, OUTPUTS = ("history", "weights"), ("items", "scores")


class Served(nn.Module):
    """A recommender as a function of tensors.

    Parameters
    ----------
    scorer : callable
        How it scores histories.
    views : int or None
        Weights it reads of each item, where they have an axis of their own.
    n_items : int
        How many items it ranks.
    k : int
        Length of the lists.
    exclude_seen : bool
        Leave out the items of a history.
    ordered_topk : bool
        Whether the runtime's top-K puts the lower item first where scores are equal: that of ONNX must, torch's does
        not say.
    """

    def __init__(
        self, scorer: GraphScores, views: int | None, n_items: int, k: int, *, exclude_seen: bool, ordered_topk: bool
    ) -> None:
        super().__init__()
        self.scorer = scorer
        self.views = views
        self.n_items = n_items
        self.k = k
        self.exclude_seen = exclude_seen
        self.ordered_topk = ordered_topk

    def forward(self, history: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Rank.

        Parameters
        ----------
        history : Tensor
            int64 (n, length), the item rows of histories, oldest first, -1 where there is none.
        weights : Tensor
            float32 (n, length), or (n, length, views).

        Returns
        -------
        items : Tensor
            int64 (n, k), -1 where there are fewer candidates.
        scores : Tensor
            float32 (n, k), -inf where there is no item.
        """
        columns = history
        if self.views is not None:
            # The views are columns side by side, and training left out what weighs next to nothing.
            first = torch.arange(self.views, device=history.device) * self.n_items
            columns = torch.where(history.unsqueeze(2) < 0, -1, history.unsqueeze(2) + first).flatten(1)
            weights = torch.where(weights < NEGLIGIBLE, 0.0, weights).flatten(1)
        scores = self.scorer(PaddedRows.of(columns, weights), history)
        if self.exclude_seen:
            seen = torch.where(history < 0, 0.0, float("-inf")).to(scores.dtype)
            scores = scores.scatter_add(1, history.clamp(min=0), seen)
        best, places = self._top(scores, min(self.k, self.n_items))
        ranked = torch.where(best == float("-inf"), NO_ITEM, places)
        if self.k > self.n_items:
            missing = (0, self.k - self.n_items)
            ranked = functional.pad(ranked, missing, value=NO_ITEM)
            best = functional.pad(best, missing, value=float("-inf"))
        return ranked, best

    def _top(self, scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The greatest k scores and their places: score descending, then place ascending."""
        if self.ordered_topk:
            best, places = torch.topk(scores, k)
            return best, places
        best, places = torch.sort(scores, dim=1, descending=True, stable=True)
        return best[:, :k], places[:, :k]


def served(model: Recommender, k: int, *, exclude_seen: bool, ordered_topk: bool) -> Served:
    """Make the module of a fitted recommender; it shares no tensor with it and is on the processor."""
    k = whole(1)("k", k)
    flag("exclude_seen", exclude_seen)
    if not isinstance(model, Recommender):
        raise TypeError(f"model must be a fitted recommender, got {type(model).__name__}")
    model._share.require_whole("an export")
    own = copy.copy(model._fitted())
    own.settings = model.settings.replaced({"device": "cpu"})
    own._restore(Stored.of_state(model._state()))
    return Served(
        scorer_of(own), own._reading().views, own._n_items, k, exclude_seen=exclude_seen, ordered_topk=ordered_topk
    ).eval()


@contextmanager
def tracing(module: Served) -> Iterator[tuple[tuple[Tensor, Tensor], dict[str, Any]]]:
    """Prepare a module to be traced; gives example inputs and which of their sizes are any size."""
    views = () if module.views is None else (module.views,)
    if tuple(map(int, torch.__version__.split(".")[:2])) < OLDEST_TORCH:
        raise ImportError(
            f"exporting needs torch {'.'.join(map(str, OLDEST_TORCH))} or newer, and this is {torch.__version__}: "
            'pip install "diffrec[onnx]"'
        )
    example = torch.tensor([[0, -1, -1], [-1, -1, -1]]), torch.ones(2, 3, *views)
    sizes = {0: torch.export.Dim("batch", min=1), 1: torch.export.Dim("length", min=0)}
    fused = torch.backends.mha.get_fastpath_enabled()
    try:
        # The fused encoder layer is no operator of ONNX's.
        torch.backends.mha.set_fastpath_enabled(False)
        with torch.no_grad():
            # Tensors made once from the weights are made now, and so are no part of the graph.
            module(*example)
            yield example, {name: dict(sizes) for name in INPUTS}
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def program(model: Recommender, k: int = 20, *, exclude_seen: bool = True) -> "ExportedProgram":
    """Export a recommender as a program of ``torch.export``.

    Parameters
    ----------
    model : Recommender
        Fitted.
    k : int
        Length of the lists.
    exclude_seen : bool
        Leave out the items of a history.

    Returns
    -------
    torch.export.ExportedProgram
        From ``history`` int64 (n, length) and ``weights`` float32, as ``diffrec.export.inputs`` makes them, to
        ``items`` int64 (n, k) and ``scores`` float32 (n, k), for any length and any n above 0: item rows, score
        descending, then row ascending; -1 and -inf where there are fewer candidates.

    Raises
    ------
    ImportError
        With a torch before 2.10.
    TypeError
        When the recommender cannot be exported: its scores are no function of a history alone, or random.

    Examples
    --------
    >>> import diffrec, torch
    >>> data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
    >>> model = diffrec.fit(data, dims=(16,), epochs=2)
    >>> serve = diffrec.export.program(model, k=3).module()
    >>> items, scores = serve(*map(torch.from_numpy, diffrec.export.inputs(model, [7, 5])))
    >>> bool((items.numpy() == model.recommend([7, 5], k=3).item_rows).all())
    True
    """
    module = served(model, k, exclude_seen=exclude_seen, ordered_topk=False)
    with tracing(module) as (example, sizes):
        return torch.export.export(module, example, dynamic_shapes=sizes, strict=False)
