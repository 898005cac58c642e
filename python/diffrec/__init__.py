"""Diffusion recommender models on sparse user x item data, accelerated with Rust.

>>> import diffrec
>>> data = diffrec.datasets.synthetic(users=60, items=40, seed=0)
>>> model = diffrec.fit(data, dims=(16,), epochs=2)
>>> top = model.recommend(k=5)
>>> top.items.shape, top.scores.shape
((60, 5), (60, 5))
"""

import logging
from typing import TYPE_CHECKING

from diffrec._core import __version__
from diffrec._lazy import lazy_names
from diffrec.forks import compute_alone_in_forks

if TYPE_CHECKING:
    from diffrec import callbacks, datasets, export
    from diffrec import plots as plots
    from diffrec._fit import fit
    from diffrec.comparison import Comparison, Comparisons, compare
    from diffrec.data import Ids, Interactions, Split
    from diffrec.evaluation import Report
    from diffrec.recommenders import (
        CFGAN,
        EASE,
        IALS,
        TIFUKNN,
        Anchor,
        ColdUsers,
        DiffRec,
        Explanation,
        ItemKNN,
        LightGCN,
        ModelFileError,
        MultiDAE,
        MultiVAE,
        Popularity,
        Recommender,
        RP3beta,
        SASRec,
        Scorer,
        Stack,
        Top,
        TopFreq,
        Uncertainty,
        load,
    )
    from diffrec.training import CheckpointError
    from diffrec.tuning import Tuned, tune
else:
    # Each name is imported when it is first asked for: torch takes seconds, and most of this needs none.
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "diffrec.comparison": ["Comparison", "Comparisons", "compare"],
            "diffrec.data": ["Ids", "Interactions", "Split"],
            "diffrec.evaluation": ["Report"],
            "diffrec.recommenders": [
                "CFGAN",
                "EASE",
                "IALS",
                "TIFUKNN",
                "Anchor",
                "ColdUsers",
                "DiffRec",
                "Explanation",
                "ItemKNN",
                "LightGCN",
                "ModelFileError",
                "MultiDAE",
                "MultiVAE",
                "Popularity",
                "RP3beta",
                "Recommender",
                "SASRec",
                "Scorer",
                "Stack",
                "Top",
                "TopFreq",
                "Uncertainty",
                "load",
            ],
            "diffrec.recommenders.fit": ["fit"],
            "diffrec.training": ["CheckpointError"],
            "diffrec.tuning": ["Tuned", "tune"],
        },
        submodules=["callbacks", "datasets", "export", "plots"],
    )

# A fit logs what it does, shown after logging.basicConfig(level="INFO"); silent otherwise.
logging.getLogger(__name__).addHandler(logging.NullHandler())
compute_alone_in_forks()

__all__ = [
    "CFGAN",
    "EASE",
    "IALS",
    "TIFUKNN",
    "Anchor",
    "CheckpointError",
    "ColdUsers",
    "Comparison",
    "Comparisons",
    "DiffRec",
    "Explanation",
    "Ids",
    "Interactions",
    "ItemKNN",
    "LightGCN",
    "ModelFileError",
    "MultiDAE",
    "MultiVAE",
    "Popularity",
    "RP3beta",
    "Recommender",
    "Report",
    "SASRec",
    "Scorer",
    "Split",
    "Stack",
    "Top",
    "TopFreq",
    "Tuned",
    "Uncertainty",
    "__version__",
    "callbacks",
    "compare",
    "datasets",
    "export",
    "fit",
    "load",
    "tune",
]
