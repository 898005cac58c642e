"""Recommenders: fit on interactions, recommend, score, evaluate, save and load."""

from diffrec.recommenders.base import Recommender
from diffrec.recommenders.diffrec.anchor import Anchor
from diffrec.recommenders.diffrec.model import DiffRec
from diffrec.recommenders.diffrec.presets import PRESETS
from diffrec.recommenders.explanation import Explanation
from diffrec.recommenders.fit import fit
from diffrec.recommenders.model_file import ModelFileError, load
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

__all__ = [
    "CFGAN",
    "EASE",
    "IALS",
    "PRESETS",
    "TIFUKNN",
    "VARIANTS",
    "Anchor",
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
    "fit",
    "load",
    "make",
]
