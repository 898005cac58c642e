"""Arrays of NumPy and tensors of torch side by side, for modules that do without torch themselves."""

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

if TYPE_CHECKING:
    from torch import Tensor

#: What a recommender computes with: NumPy's, or torch's where there is a network.
Array: TypeAlias = "NDArray[Any] | Tensor"


def on_host(values: Array) -> NDArray[Any]:
    """The values as an array of NumPy; nothing is copied that lies in the processor's memory.

    Examples
    --------
    >>> import torch
    >>> on_host(torch.ones(2, requires_grad=True)), on_host(np.zeros(1))
    (array([1., 1.], dtype=float32), array([0.]))
    """
    if isinstance(values, np.ndarray):
        return values
    host: NDArray[Any] = values.detach().cpu().contiguous().numpy()
    return host


def as_matrix(values: Any) -> Any:
    """A tensor of any library (by DLPack), sparse or not, as a matrix of SciPy or NumPy; all else as it is.

    Examples
    --------
    >>> import torch
    >>> as_matrix(torch.eye(2).to_sparse()).toarray()
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """
    if isinstance(values, np.ndarray) or not hasattr(values, "__dlpack__"):
        return values
    # torch knows all devices that such a tensor may be on.
    import torch
    from torch.utils.dlpack import from_dlpack

    if isinstance(values, torch.Tensor) and values.layout is not torch.strided:
        # Not coalesced, which would add up repeated entries, and their times.
        entries = values.detach().cpu().to_sparse()
        return sparse.coo_array(
            (entries._values().numpy(), tuple(entries._indices().numpy())), shape=tuple(entries.shape)
        )
    strided = values.detach() if isinstance(values, torch.Tensor) else from_dlpack(values)
    return strided.cpu().numpy()


def tensor_of(values: Array) -> "Tensor":
    """The values as a tensor of torch, for whoever asks for one; nothing is copied."""
    import torch

    return torch.as_tensor(values)


def rows_like(block: Array, n: int) -> Array:
    """Room for ``n`` rows of the kind and width that a block (any, width) has, where it is."""
    return (
        np.empty((n, *block.shape[1:]), block.dtype)
        if isinstance(block, np.ndarray)
        else block.new_empty(n, *block.shape[1:])
    )


def is_tensor(value: object) -> "TypeGuard[Tensor]":
    """Whether a value is a tensor of torch; before torch has been imported nothing is."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def without_gradients() -> AbstractContextManager[None]:
    """Have torch record no gradients in a ``with`` block; where it has not been imported it records none anyway."""
    torch = sys.modules.get("torch")
    return nullcontext() if torch is None else torch.no_grad()
