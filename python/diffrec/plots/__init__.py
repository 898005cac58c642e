"""Pictures of models and of what they recommend (``pip install 'diffrec[plot]'``)."""

from diffrec.plots.guidance import guidance

__all__ = ["guidance"]
