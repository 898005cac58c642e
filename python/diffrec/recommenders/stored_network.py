"""Networks made again from the arrays of a file."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from diffrec.data.stored import Stored

Module = TypeVar("Module", bound=nn.Module)


def network_from(state: Stored, build: Callable[[torch.device], Module], device: torch.device) -> Module:
    """Build a network and give it its weights, in evaluation mode.

    It is built without any memory first, to see which weights it has: a size that the settings claim and the arrays
    have not is refused before it is allocated.

    Raises
    ------
    ValueError
        When an array is not there, or not what the network expects.
    """
    nowhere = torch.device("meta")
    with nowhere, _WithoutDraws():
        expected = build(nowhere).state_dict()
    weights = {name: _like(state, name, like) for name, like in expected.items()}
    with _WithoutDraws():
        made = build(device)
    made.load_state_dict(weights)
    return made.eval()


def _like(state: Stored, name: str, like: Tensor) -> Tensor:
    """A tensor of the shape and type of another."""
    if like.dtype == torch.float32:
        return torch.from_numpy(state.weights(name, tuple(like.shape)))
    dtype = torch.empty(0, dtype=like.dtype, device="cpu").numpy().dtype
    return torch.from_numpy(state.take(name, tuple(like.shape), dtype))


# Those of torch.nn.init that hand themselves over; the others call the methods.
_DRAWS = (Tensor.normal_, Tensor.uniform_, nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_)


class _WithoutDraws(TorchFunctionMode):
    """Leaves weights that are to be replaced as they are, instead of drawing them."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in _DRAWS:
            return (*args, *(kwargs or {}).values())[0]
        return func(*args, **(kwargs or {}))
