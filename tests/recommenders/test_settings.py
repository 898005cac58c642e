"""A fitted model answers by the settings it was fitted with, whatever is set for the next fit."""

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import diffrec
from diffrec import DiffRec
from diffrec.recommenders import VARIANTS, make

DATA = diffrec.datasets.synthetic(users=40, items=25, seed=1)
QUICK: dict[str, Any] = {"epochs": 1, "holdout": 0.0, "progress": False}
# What would change scores, or could not be read back, if a fitted model heeded it.
CHANGES: dict[str, dict[str, Any]] = {
    "diffrec": {"dims": (5,), "steps": 9, "normalize": True},
    "t-diffrec": {"time_scales": (2.0,), "dims": (5,), "denoiser": "sequence"},
    "l-diffrec": {"groups": 3, "latent_dims": (7,)},
    "lt-diffrec": {"time_scales": (2.0,), "objective": "reconstruct"},
    "anchor": {"objective": "forecast"},
    "popularity": {"seed": 5},
    "topfreq": {"half_life": 1.0, "popularity": 9.0},
    "tifuknn": {"neighbors": 1, "group_size": 1},
    "itemknn": {"neighbors": 1, "weighting": "bm25"},
    "rp3beta": {"alpha": 3.0},
    "ease": {"l2": 1.0, "binarize": False},
    "ials": {"factors": 3, "l2": 1e-3},
    "lightgcn": {"factors": 3, "layers": 1},
    "multivae": {"dims": (5,), "latent": 3},
    "multidae": {"dims": (5,), "latent": 3},
    "cfgan": {"dims": (5,)},
    "stack": {"parts": (("ease", (("l2", 3.0),)),), "weights": (2.0,)},
    "sasrec": {"width": 4},
}


def quick(variant: str) -> dict[str, Any]:
    known = make(variant).get_params()
    return {name: value for name, value in QUICK.items() if name in known}


@pytest.mark.parametrize("variant", VARIANTS)
def test_settings_of_the_next_fit_are_not_this_ones(variant: str, tmp_path: Path) -> None:
    model = diffrec.fit(DATA, variant=variant, **quick(variant))
    before, settings, path = model.score(), model.settings, tmp_path / "model.diffrec"
    changed = {name: value for name, value in CHANGES[variant].items() if name in model.get_params()}
    model.set_params(**changed)
    np.testing.assert_array_equal(model.score(), before)
    assert model.settings is settings
    assert {name: model.get_params()[name] for name in changed} == changed
    model.save(path)
    again = diffrec.load(path)
    np.testing.assert_array_equal(again.score(), before)
    model.fit(DATA)
    assert {name: getattr(model.settings, name) for name in changed} == changed


@pytest.mark.parametrize(
    ("variant", "name", "meant"),
    [
        ("ials", "regularization", "l2"),
        ("ials", "n_factors", "factors"),
        ("ials", "epochs", "iterations"),
        ("ease", "lambda_", "l2"),
        ("diffrec", "l2_reg", "weight_decay"),
        ("diffrec", "learning_rate", "lr"),
        ("diffrec", "embedding_size", "dims"),
        ("diffrec", "random_state", "seed"),
        ("diffrec", "n_epochs", "epochs"),
        ("diffrec", "iterations", "epochs"),
        ("diffrec", "T", "steps"),
        ("diffrec", "batchsize", "batch_size"),
        ("multivae", "embedding_dim", "latent"),
        ("sasrec", "no_components", "width"),
        ("itemknn", "K", "neighbors"),
    ],
)
def test_names_of_other_libraries(variant: str, name: str, meant: str) -> None:
    with pytest.raises(TypeError, match=f"'{name}' is not a setting; did you mean '{meant}'\\? "):
        make(variant, **{name: 1})


def test_what_a_recommender_does_not_have_is_not_suggested() -> None:
    with pytest.raises(TypeError, match=r"^'n_neighbors' is not a setting \(settings: seed, device, .*half_life\)$"):
        make("popularity", n_neighbors=5)


def test_an_error_names_few_of_many_settings() -> None:
    with pytest.raises(TypeError) as raised:
        DiffRec(sequence_lenght=5)
    words = "'sequence_lenght' is not a setting; did you mean 'sequence_length'? (near it: sequence_length, "
    assert str(raised.value).startswith(words)
    assert str(raised.value).endswith(f"get_params() and help() have all {len(DiffRec().get_params())} settings)")
    assert len(str(raised.value)) < 240


def test_settings_before_a_fit_are_those_it_will_use() -> None:
    model = DiffRec().set_params(steps=7)
    assert model.settings.steps == 7
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        model.set_params(dims=(3,), steps=0)
    assert model.settings.dims == (1000,)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"half_life": 3.0}, "^half_life has no effect without time_weights$"),
        ({"w_min": 0.2, "kl_weight": 0.1}, "^kl_weight has no effect without groups; w_min has no .* time_weights$"),
        (
            {"variant": "t-diffrec", "half_life": 3.0},
            "^half_life does not count by its length with time_weights='linear'; time_weights='exponential' uses it$",
        ),
    ],
)
def test_a_named_setting_without_effect_is_said(named: dict[str, Any], words: str) -> None:
    with pytest.warns(UserWarning, match=words) as told:
        diffrec.fit(DATA, dims=(4,), **named, **QUICK)
    assert [one.filename for one in told] == [__file__]


@pytest.mark.parametrize(
    "named",
    [
        {"variant": "t-diffrec", "half_life": datetime.timedelta(days=3)},
        {"variant": "t-diffrec", "w_min": 0.2},
        {"time_weights": "power", "half_life": 3.0},
        {"variant": "l-diffrec", "kl_weight": 0.1, "latent_dims": 4},
        {"w_min": DiffRec().settings.w_min, "kl_weight": DiffRec().settings.kl_weight},
    ],
)
def test_a_named_setting_with_effect_is_taken_in_silence(named: dict[str, Any]) -> None:
    diffrec.fit(DATA, dims=(4,), **named, **QUICK)  # warnings are errors here


def test_the_settings_of_a_model_fit_another_in_silence() -> None:
    settings = DiffRec(dims=(4,), **QUICK).get_params()
    diffrec.fit(DATA, variant="diffrec", **settings)


def test_times_are_taken_as_they_are_written() -> None:
    day, hour = datetime.timedelta(days=1), datetime.timedelta(hours=1)
    model = DiffRec(half_life="3d", time_scales=("12h", 2, np.timedelta64(1, "D")), objective="forecast")
    model.set_params(own_views=("had", "60d"), forecast_half_life=np.timedelta64(7, "D"))
    known = model.get_params()
    assert known["half_life"] == 3 * day
    assert known["time_scales"] == (12 * hour, 2.0, day)
    assert known["own_views"] == ("had", 60 * day)
    assert known["forecast_half_life"] == 7 * day
    with pytest.raises(TypeError, match="half_life must be a number of baskets, or a time: .* got 'soon'"):
        DiffRec(half_life="soon")


def test_time_scales_of_the_clock_survive_the_file(tmp_path: Path) -> None:
    scales = (1.0, datetime.timedelta(days=7), None)
    model = diffrec.fit(DATA, variant="t-diffrec", dims=(4,), time_scales=scales, **QUICK)
    model.save(tmp_path / "model.diffrec")
    again = diffrec.load(tmp_path / "model.diffrec")
    assert again.get_params()["time_scales"] == scales
    np.testing.assert_array_equal(again.score(), model.score())


def test_arrays_that_may_not_be_written_are_saved_without_a_word(tmp_path: Path) -> None:
    """Warnings are errors here; torch has one for memory it must not write to."""
    matrix = DATA.matrix.copy()
    for array in (matrix.data, matrix.indices, matrix.indptr):
        array.flags.writeable = False
    frozen = diffrec.Interactions(matrix, None, DATA.users, DATA.items)
    model = diffrec.fit(frozen, variant="itemknn")
    model.save(tmp_path / "model.diffrec")
    np.testing.assert_array_equal(diffrec.load(tmp_path / "model.diffrec").score(), model.score())
