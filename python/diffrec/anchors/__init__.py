"""Anchors: linear maps from histories to items in closed form, which a denoiser adds to."""

from diffrec.anchors.linear_map import LinearMap
from diffrec.anchors.ridge import Ridge

__all__ = ["LinearMap", "Ridge"]
