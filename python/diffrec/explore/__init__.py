"""A page to explore a model in a browser: histories, recommendations, reasons and the steps of the reverse chain."""

from diffrec.explore.explorer import Explorer
from diffrec.explore.server import Server

__all__ = ["Explorer", "Server"]
