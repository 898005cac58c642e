"""Networks made again from the arrays of a file."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from diffrec.data.stored import Stored
from diffrec.diffusion import Layout, layouts_of

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
        imagined = build(nowhere)
    layouts = layouts_of(imagined)
    weights = {name: _like(state, name, like, layouts.get(name)) for name, like in imagined.state_dict().items()}
    with _WithoutDraws():
        made = build(device)
    made.load_state_dict(weights)
    return made.eval()


def _like(state: Stored, name: str, like: Tensor, layout: Layout | None) -> Tensor:
    """A tensor of the shape and type of another; where only some rows are held here, these of the array."""
    if layout is not None and layout.axis:
        whole = state.weights(name, (like.shape[0], layout.rows))
        ((first, size),) = layout.segments
        return torch.from_numpy(np.ascontiguousarray(whole[:, first : first + size]))
    if layout is not None:
        whole = state.weights(name, (layout.rows, *like.shape[1:]))
        return torch.from_numpy(np.concatenate([whole[first : first + size] for first, size in layout.segments]))
    if like.dtype == torch.float32:
        array = state.weights(name, tuple(like.shape))
    else:
        array = state.take(name, tuple(like.shape), torch.empty(0, dtype=like.dtype, device="cpu").numpy().dtype)
    # One that stays in its file may not be written there.
    return torch.from_numpy(array if array.flags.writeable else array.copy())


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
