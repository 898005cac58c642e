"""Pictures of models, their training and their figures (extra ``plot``).

Each function returns a ``matplotlib.figure.Figure`` made without pyplot: no window opens, no state is shared between
threads, and a notebook shows it. ``figure.savefig("name.png")`` or ``.svg`` or ``.pdf`` writes it.

>>> import diffrec
>>> data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
>>> model = diffrec.fit(data, dims=(8,), epochs=10)
>>> diffrec.plots.training(model)
<Figure size ... with 2 Axes>
"""

try:
    import matplotlib  # noqa: F401 - tells a missing package from everything else that may fail
except ModuleNotFoundError as error:
    raise ImportError('diffrec.plots needs matplotlib: pip install "diffrec[plot]"') from error

from diffrec.plots.breakdowns import metric_by_group, recall_by_activity, recall_by_popularity
from diffrec.plots.chain import reverse_process
from diffrec.plots.curves import metric_by_k, training
from diffrec.plots.grouping import groups
from diffrec.plots.guidance import guidance
from diffrec.plots.noise import schedule
from diffrec.plots.table import comparison

__all__ = [
    "comparison",
    "groups",
    "guidance",
    "metric_by_group",
    "metric_by_k",
    "recall_by_activity",
    "recall_by_popularity",
    "reverse_process",
    "schedule",
    "training",
]
