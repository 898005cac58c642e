"""The diffusion model itself, in PyTorch: schedules, Gaussian process, denoiser, step sampling.

Nothing here knows of users, ids or files: a row is a vector, whatever it stands for.
"""

from diffrec.diffusion.counter_noise import kept_block, normal_block, uniform_at
from diffrec.diffusion.denoiser import Denoiser, step_embedding, xavier_std
from diffrec.diffusion.hidden_chain import HiddenChain, HiddenState, StateGuide
from diffrec.diffusion.hidden_noise import ItemNoise
from diffrec.diffusion.history_encoder import HistoryEncoder
from diffrec.diffusion.item_likelihood import LIKELIHOODS, forecast_loss, largest_scores
from diffrec.diffusion.item_products import (
    compute_dtype,
    gram_pays,
    gram_squared_error,
    project,
    squared_error,
)
from diffrec.diffusion.linear import linear
from diffrec.diffusion.padded import PaddedRows
from diffrec.diffusion.part import Layout, Part, Whole, ends_of, handed_out, layout_of, layouts_of, summed
from diffrec.diffusion.process import GaussianProcess
from diffrec.diffusion.row_noise import RowNoise
from diffrec.diffusion.sampled_likelihood import gbce_loss, sampled_softmax_loss
from diffrec.diffusion.schedules import NOISE_SCHEDULES, noise_betas
from diffrec.diffusion.sequence import (
    SequenceEncoder,
    Sequences,
    newest_in_blocks,
    softmax_loss_in_blocks,
    states_of_baskets,
)
from diffrec.diffusion.step_sampling import STEP_SAMPLINGS, ImportanceSteps, StepSampler, UniformSteps

__all__ = [
    "LIKELIHOODS",
    "NOISE_SCHEDULES",
    "STEP_SAMPLINGS",
    "Denoiser",
    "GaussianProcess",
    "HiddenChain",
    "HiddenState",
    "HistoryEncoder",
    "ImportanceSteps",
    "ItemNoise",
    "Layout",
    "PaddedRows",
    "Part",
    "RowNoise",
    "SequenceEncoder",
    "Sequences",
    "StateGuide",
    "StepSampler",
    "UniformSteps",
    "Whole",
    "compute_dtype",
    "ends_of",
    "forecast_loss",
    "gbce_loss",
    "gram_pays",
    "gram_squared_error",
    "handed_out",
    "kept_block",
    "largest_scores",
    "layout_of",
    "layouts_of",
    "linear",
    "newest_in_blocks",
    "noise_betas",
    "normal_block",
    "project",
    "sampled_softmax_loss",
    "softmax_loss_in_blocks",
    "squared_error",
    "states_of_baskets",
    "step_embedding",
    "summed",
    "uniform_at",
    "xavier_std",
]
