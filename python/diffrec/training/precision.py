"""Choice of the device and of the number format that a model is computed in."""

from contextlib import AbstractContextManager, nullcontext

import torch

from diffrec import _core

PRECISIONS = ("auto", "float32", "bfloat16")


def resolve_device(device: str | torch.device) -> torch.device:
    """Turn ``"auto"`` or a device's name into a device that is there.

    Raises
    ------
    ValueError
        When the name is no device's, or this machine has no such device.

    Examples
    --------
    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    resolved = named_device(device)
    if not _takes_memory(resolved):
        raise _absent(device)
    return resolved


def named_device(device: str | torch.device) -> torch.device:
    """Return the device of a name that torch sees here; a GPU is left untouched, so that processes can still fork.

    Raises
    ------
    ValueError
        As of ``resolve_device``.

    Examples
    --------
    >>> named_device("banana")
    Traceback (most recent call last):
    ValueError: device must be 'auto', 'cpu', 'cuda' or 'cuda:N', got 'banana'
    """
    try:
        named = torch.device(device)
    except (RuntimeError, TypeError):
        raise ValueError(f"device must be 'auto', 'cpu', 'cuda' or 'cuda:N', got {device!r}") from None
    there = (named.index or 0) < torch.cuda.device_count() if named.type == "cuda" else _takes_memory(named)
    if not there:
        raise _absent(device)
    return named


def _takes_memory(device: torch.device) -> bool:
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        return False
    return True


def _absent(device: str | torch.device) -> ValueError:
    count = torch.cuda.device_count()
    return ValueError(f"device {device!r} is not there: torch sees {count} CUDA device(s) on this machine")


def product_dtype(precision: str, device: torch.device, *, on_processor: bool = False) -> torch.dtype:
    """The number format of large products.

    Parameters
    ----------
    precision : str
        ``"auto"`` is bfloat16 where the device has instructions for it; see ``on_processor``.
    device : torch.device
        Where the products are computed.
    on_processor : bool
        Whether ``"auto"`` may choose bfloat16 on a processor, too: for models that were found to rank as well with it.

    Examples
    --------
    >>> product_dtype("float32", torch.device("cpu"))
    torch.float32
    """
    automatic = precision == "auto" and (on_processor or device.type != "cpu") and multiplies_bfloat16(device)
    return torch.bfloat16 if precision == "bfloat16" or automatic else torch.float32


def autocast(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """Context in which large products are computed in ``dtype``; weights stay in float32."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype=dtype)


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether products of bfloat16 numbers are faster there than those of float32."""
    if device.type == "cuda":
        # Older ones of NVIDIA compute them by way of float32.
        return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and _core.multiplies_bfloat16()
