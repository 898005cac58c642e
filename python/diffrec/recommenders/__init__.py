"""Recommenders: fit on interactions, recommend, score, evaluate, save and load."""

from diffrec.recommenders.anchor import Anchor
from diffrec.recommenders.base import Recommender
from diffrec.recommenders.cfgan import CFGAN
from diffrec.recommenders.diffrec import DiffRec
from diffrec.recommenders.ease import EASE
from diffrec.recommenders.explanation import Explanation
from diffrec.recommenders.fitting import fit
from diffrec.recommenders.ials import IALS
from diffrec.recommenders.itemknn import ItemKNN
from diffrec.recommenders.lightgcn import LightGCN
from diffrec.recommenders.multivae import MultiDAE, MultiVAE
from diffrec.recommenders.popularity import Popularity
from diffrec.recommenders.presets import PRESETS
from diffrec.recommenders.rp3beta import RP3beta
from diffrec.recommenders.scorer import Scorer
from diffrec.recommenders.top import Top
from diffrec.recommenders.uncertainty import Uncertainty
from diffrec.recommenders.variants import VARIANTS, load, make

__all__ = [
    "CFGAN",
    "EASE",
    "IALS",
    "PRESETS",
    "VARIANTS",
    "Anchor",
    "DiffRec",
    "Explanation",
    "ItemKNN",
    "LightGCN",
    "MultiDAE",
    "MultiVAE",
    "Popularity",
    "RP3beta",
    "Recommender",
    "Scorer",
    "Top",
    "Uncertainty",
    "fit",
    "load",
    "make",
]
