"""The one dense product of inference: float32 at the speed of the processor."""

import torch
from torch import Tensor
from torch.nn import functional

# On processors that are not Intel's, the library behind torch.mm reaches about half of what oneDNN does. torch has no
# public way to choose between them, so its operator is called by name, where this build has it.
_ONEDNN = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, tanh: bool = False) -> Tensor:
    """``x @ weight.T + bias``, as ``torch.nn.functional.linear``.

    Parameters
    ----------
    x : Tensor
        (n, inputs).
    weight : Tensor
        (outputs, inputs).
    bias : Tensor, optional
        (outputs,).
    tanh : bool
        Take the hyperbolic tangent of the sums, which costs next to nothing while they are at hand.

    Returns
    -------
    Tensor
        (n, outputs), of the type of ``x``. Gradients flow where they are recorded.

    Examples
    --------
    >>> with torch.no_grad():
    ...     linear(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]]), torch.tensor([0.5]))
    tensor([[11.5000]])
    """
    if _ONEDNN is not None and _fits(x, weight) and (bias is None or bias.dtype == torch.float32):
        product: Tensor = _ONEDNN(x, weight, bias, "tanh" if tanh else "none", [], "")
        return product
    product = functional.linear(x, weight, bias)
    return torch.tanh(product) if tanh else product


def _fits(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN's operator, which knows no gradients and no empty tensors and has no place in a graph, will do."""
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and x.ndim == 2
        and x.numel() > 0
        and weight.numel() > 0
        and not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
    )
