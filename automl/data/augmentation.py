"""Data augmentation of training batches, with a strength between 0 (none) and 1."""

import torch
import torch.nn.functional as F
from torch import Tensor


def augment(x: Tensor, strength: float, generator: torch.Generator | None = None, *, mirrored: bool = True) -> Tensor:
    """An augmented copy of a standardised batch (n, channels, length) or (n, channels, height, width).

    ``generator``: of random numbers; by default torch's global one. ``mirrored``: whether some images are mirrored.
    """
    if strength == 0:
        return x
    if x.ndim == 3:
        return augment_signals(x, strength, generator)
    return augment_pictures(x, strength, generator, mirrored=mirrored)


def augment_signals(x: Tensor, strength: float, generator: torch.Generator | None) -> Tensor:
    """At strength 1: a cyclic shift of up to a quarter of the length (as MNIST-1D is generated), scaling by up to 40%,
    and noise.
    """
    n, _, length = x.shape
    reach = strength * length / 4
    shift = torch.empty(n, 1, device=x.device).uniform_(-reach, reach, generator=generator).round().long()
    places = (torch.arange(length, device=x.device) + shift) % length
    shifted = x.gather(2, places[:, None].expand_as(x))
    scale = 1 + 0.4 * strength * torch.empty(n, 1, 1, device=x.device).uniform_(-1, 1, generator=generator)
    noise = torch.empty_like(x).normal_(generator=generator)
    return shifted * scale + 0.1 * strength * noise


def augment_pictures(x: Tensor, strength: float, generator: torch.Generator | None, *, mirrored: bool = True) -> Tensor:
    """At strength 1: half of the images mirrored, all shifted by up to 4 pixels in 28, with edge padding."""
    n, _, height, width = x.shape
    reach = round(strength * height / 7)
    margin = round(height / 7)  # the same for every strength, so that a batch has one shape
    rows, columns = (
        torch.arange(side, device=x.device)
        + torch.randint(-reach, reach + 1, (n, 1), device=x.device, generator=generator)
        + margin
        for side in (height, width)
    )
    if mirrored:
        turned = torch.rand(n, device=x.device, generator=generator) < strength / 2
        columns = torch.where(turned[:, None], columns.flip(1), columns)
    padded = F.pad(x, (margin,) * 4, mode="replicate").movedim(1, -1)
    picture = torch.arange(n, device=x.device)[:, None, None]
    return padded[picture, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)
