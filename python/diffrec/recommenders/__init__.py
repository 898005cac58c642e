"""Recommenders: fit on interactions, recommend, score, evaluate, save and load."""

from typing import TYPE_CHECKING

from diffrec._lazy import lazy_names

if TYPE_CHECKING:
    from diffrec.recommenders.base import Recommender
    from diffrec.recommenders.cold import ColdUsers
    from diffrec.recommenders.diffrec.anchor import Anchor
    from diffrec.recommenders.diffrec.model import DiffRec
    from diffrec.recommenders.diffrec.presets import PRESETS
    from diffrec.recommenders.explanation import Explanation
    from diffrec.recommenders.loading import load
    from diffrec.recommenders.model_file import ModelFileError
    from diffrec.recommenders.registry import VARIANTS, make
    from diffrec.recommenders.results import Top, Uncertainty
    from diffrec.recommenders.rivals.cfgan import CFGAN
    from diffrec.recommenders.rivals.ease import EASE
    from diffrec.recommenders.rivals.ials import IALS
    from diffrec.recommenders.rivals.itemknn import ItemKNN
    from diffrec.recommenders.rivals.lightgcn import LightGCN
    from diffrec.recommenders.rivals.multivae import MultiDAE, MultiVAE
    from diffrec.recommenders.rivals.popularity import Popularity
    from diffrec.recommenders.rivals.rp3beta import RP3beta
    from diffrec.recommenders.rivals.sasrec import SASRec
    from diffrec.recommenders.rivals.tifuknn import TIFUKNN
    from diffrec.recommenders.rivals.topfreq import TopFreq
    from diffrec.recommenders.scorer import Scorer
    from diffrec.recommenders.stack import Stack
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "diffrec.recommenders.base": ["Recommender"],
            "diffrec.recommenders.cold": ["ColdUsers"],
            "diffrec.recommenders.diffrec.anchor": ["Anchor"],
            "diffrec.recommenders.diffrec.model": ["DiffRec"],
            "diffrec.recommenders.diffrec.presets": ["PRESETS"],
            "diffrec.recommenders.explanation": ["Explanation"],
            "diffrec.recommenders.loading": ["load"],
            "diffrec.recommenders.model_file": ["ModelFileError"],
            "diffrec.recommenders.registry": ["VARIANTS", "make"],
            "diffrec.recommenders.results": ["Top", "Uncertainty"],
            "diffrec.recommenders.rivals.cfgan": ["CFGAN"],
            "diffrec.recommenders.rivals.ease": ["EASE"],
            "diffrec.recommenders.rivals.ials": ["IALS"],
            "diffrec.recommenders.rivals.itemknn": ["ItemKNN"],
            "diffrec.recommenders.rivals.lightgcn": ["LightGCN"],
            "diffrec.recommenders.rivals.multivae": ["MultiDAE", "MultiVAE"],
            "diffrec.recommenders.rivals.popularity": ["Popularity"],
            "diffrec.recommenders.rivals.rp3beta": ["RP3beta"],
            "diffrec.recommenders.rivals.sasrec": ["SASRec"],
            "diffrec.recommenders.rivals.tifuknn": ["TIFUKNN"],
            "diffrec.recommenders.rivals.topfreq": ["TopFreq"],
            "diffrec.recommenders.scorer": ["Scorer"],
            "diffrec.recommenders.stack": ["Stack"],
        },
    )

__all__ = [
    "CFGAN",
    "EASE",
    "IALS",
    "PRESETS",
    "TIFUKNN",
    "VARIANTS",
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
    "make",
]
