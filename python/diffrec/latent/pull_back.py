"""From a wished change of decoded scores to a change of the latents."""

from collections.abc import Callable

import torch
from torch import Tensor


def pulled_back(decode: Callable[[Tensor], Tensor], latent: Tensor, wished: Tensor, gram: Tensor) -> Tensor:
    """Step of latents along the gradient of what is wished of their scores, as long as comes nearest to it.

    With scores ``W decode(z) + b`` and a wished change ``s`` of them, the step is ``eta * J' W' s``, J the Jacobian of
    ``decode`` at z: the gradient of ``<s, scores>``. Its length makes ``|W J step - s|`` smallest (Cauchy's step).

    Parameters
    ----------
    decode : callable
        (n, latent) -> (n, width), each row by itself.
    latent : Tensor
        (n, latent).
    wished : Tensor
        (n, width): ``W' s`` of each row.
    gram : Tensor
        (width, width): ``W' W``.

    Returns
    -------
    Tensor
        (n, latent), 0 where no latent can do anything about it.

    Examples
    --------
    >>> pulled_back(lambda z: 2 * z, torch.zeros(1, 2), torch.tensor([[4.0, 0.0]]), torch.eye(2))
    tensor([[2., 0.]])
    """
    with torch.enable_grad():
        z = latent.detach().requires_grad_()
        decoded = decode(z)
        # J' u is linear in u: its derivative along the slope is J times the slope.
        u = torch.zeros_like(decoded).requires_grad_()
        (back,) = torch.autograd.grad(decoded, z, u, create_graph=True)
        (slope,) = torch.autograd.grad(decoded, z, wished, retain_graph=True)
        (effect,) = torch.autograd.grad(back, u, slope)
    square = ((effect @ gram) * effect).sum(dim=1)
    length = torch.where(square > 0, slope.square().sum(dim=1) / square, 0.0)
    return length[:, None] * slope
