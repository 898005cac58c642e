"""Every impossible input gets one exception that names the argument and the value, and changes nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from scipy import sparse

import diffrec
from diffrec import DiffRec, Interactions

GOOD = np.array([[1, 1, 0], [0, 1, 1]], dtype=np.float32)
SMALL: dict[str, Any] = {"dims": (4,), "epochs": 1, "holdout": 0, "progress": False}


def csr(indptr: list[int], indices: list[int], shape: tuple[int, int]) -> sparse.csr_array:
    """A CSR matrix whose arrays are never looked at on the way."""
    matrix = sparse.csr_array(shape, dtype=np.float32)
    matrix.indptr, matrix.indices = np.array(indptr, dtype=np.int32), np.array(indices, dtype=np.int32)
    matrix.data = np.ones(len(indices), dtype=np.float32)
    return matrix


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        (
            "ratings.csv",
            TypeError,
            "data must be Interactions, a user x item matrix, a data frame, .* or a mapping of columns, got str: "
            r"read a file by Interactions\.read\('ratings.csv'\)",
        ),
        (Path("r.csv"), TypeError, r"data must be .* got .*Path: read a file by Interactions\.read\('r.csv'\)"),
        (
            [[1, 0]],
            TypeError,
            r"data must be .* got list: .* Interactions\.from_arrays\(users, items\), .* numpy\.array",
        ),
        (np.zeros(3), ValueError, r"matrix must have two dimensions, not shape \(3,\)"),
        (np.zeros((2, 2)), ValueError, "no interactions"),
        (np.array([[1, -2.0]]), ValueError, r"matrix\[0, 1\] is -2"),
        (np.array([[1, np.nan]]), ValueError, r"matrix\[0, 1\] is nan"),
        (np.array([[np.inf, 1]]), ValueError, r"matrix\[0, 0\] is inf"),
        (np.array([["a", "b"]]), ValueError, "matrix must hold real numbers"),
        (csr([0, 2, 1], [0, 1], (2, 3)), ValueError, "indptr"),
        (csr([0, 1, 2], [0, 3], (2, 3)), ValueError, "3"),
        (csr([0, 1, 2], [0, -1], (2, 3)), ValueError, "-1"),
        (csr([0, 1], [0, 1], (2, 3)), ValueError, "indptr"),
    ],
)
def test_data(data: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        diffrec.fit(data, **SMALL)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"dimms": (4,)}, TypeError, "'dimms' is not a setting; did you mean 'dims'"),
        ({"learning_rate": 1}, TypeError, "'learning_rate' is not a setting"),
        ({"steps": 0}, ValueError, "steps must be at least 1, got 0"),
        ({"steps": 2.5}, TypeError, "steps must be a whole number, got 2.5"),
        ({"steps": True}, TypeError, "steps must be a whole number, got True"),
        ({"dims": ()}, ValueError, r"dims must name at least one width, got \(\)"),
        ({"dims": (4, 0)}, ValueError, "dims must be at least 1, got 0"),
        ({"dims": "big"}, TypeError, "dims must be a whole number, got 'big'"),
        ({"noise_min": 0.5, "noise_max": 0.1}, ValueError, "noise_min must be at most noise_max=0.1, got 0.5"),
        ({"noise_schedule": "linear", "noise_scale": 100, "noise_max": 0.5}, ValueError, r"noise_scale=100.*beta="),
        ({"noise_schedule": "lineer"}, ValueError, "did you mean 'linear'"),
        ({"predict": "x1"}, ValueError, "predict must be one of 'x0', 'eps', got 'x1'"),
        (
            {"predict": "eps", "noise_schedule": "linear", "noise_scale": 1, "noise_max": 1, "noise_min": 0.5},
            ValueError,
            "predict='eps' needs a trace of the history at every step",
        ),
        ({"predict": "eps", "noise_scale": 0}, ValueError, "noise_scale must be above 0"),
        ({"forward_steps": 6}, ValueError, "forward_steps must be at most steps=5, got 6"),
        ({"dropout": 1.0}, ValueError, "dropout must be at least 0 and below 1, got 1.0"),
        ({"lr": 0}, ValueError, "lr must be above 0, got 0"),
        ({"lr": float("nan")}, ValueError, "lr must be above 0, got nan"),
        ({"lr": "fast"}, TypeError, "lr must be a number, got 'fast'"),
        ({"reweight": 1}, TypeError, "reweight must be True or False, got 1"),
        ({"half_life": -1}, ValueError, "half_life must be above 0, got -1"),
        ({"time_weights": "cubic"}, ValueError, "time_weights must be one of"),
        ({"w_min": 2.0}, ValueError, "w_min must be at most w_max=1.0, got 2.0"),
        ({"callbacks": [3]}, TypeError, "callbacks must be"),
        ({"variant": "difrec"}, ValueError, "variant must be one of .* did you mean 'diffrec'"),
        ({"preset": "paper/ml-1m"}, ValueError, "preset must be one of .* did you mean 'paper/ml-1m"),
        ({"variant": "popularity", "preset": "paper/ml-1m_clean"}, ValueError, "not for variant 'popularity'"),
        ({"device": "tpu!"}, ValueError, "device must be .* got 'tpu!'"),
        ({"device": "cuda:99"}, ValueError, "device 'cuda:99' is not there"),
    ],
)
def test_settings(settings: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        diffrec.fit(GOOD, **(SMALL | settings))


@pytest.mark.parametrize("kind", [DiffRec, diffrec.EASE, diffrec.IALS, diffrec.Popularity])
def test_a_device_is_checked_when_set(kind: Any) -> None:
    with pytest.raises(ValueError, match="device must be 'auto', 'cpu', 'cuda' or 'cuda:N', got 'banana'"):
        kind(device="banana")
    with pytest.raises(ValueError, match="device 'cuda:99' is not there: torch sees"):
        kind().set_params(device="cuda:99")
    assert kind(device="cpu").get_params()["device"] == "cpu"


def test_a_setting_is_checked_when_set_and_nothing_changes() -> None:
    model = DiffRec(dims=(8,))
    with pytest.raises(ValueError, match="lr must be above 0"):
        model.set_params(steps=3, lr=-1)
    assert model.settings == DiffRec(dims=(8,)).settings
    assert model.set_params(steps=3) is model
    assert model.get_params()["steps"] == 3


def test_valid_of_another_shape() -> None:
    with pytest.raises(ValueError, match=r"valid must have the shape of the training data, \(2, 3\), got \(2, 4\)"):
        diffrec.fit(GOOD, valid=np.ones((2, 4)), **SMALL)
    with pytest.raises(ValueError, match="valid must hold an interaction of a user and an item of the data"):
        diffrec.fit(GOOD, valid=Interactions.from_arrays([7], [9]), **SMALL)


@pytest.mark.parametrize("holdout", [0, 0.1])
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"variant": "t-diffrec"}, "objective='forecast' needs timestamps"),
        ({"variant": "lt-diffrec"}, "objective='forecast' needs timestamps"),
        ({"objective": "forecast"}, "objective='forecast' needs timestamps"),
        ({"variant": "t-diffrec", "time_weights": "power"}, "time_weights='power' needs timestamps"),
        ({"time_weights": "linear"}, "time_weights='linear' needs timestamps"),
    ],
)
def test_fits_by_time_without_times(settings: dict[str, Any], words: str, holdout: float) -> None:
    variant = settings.get("variant", "t-diffrec")
    with pytest.raises(ValueError, match=f"^{variant}: {words}, and these interactions have none"):
        diffrec.fit(GOOD, **(SMALL | settings | {"holdout": holdout}))


def test_rivals_by_time_without_times() -> None:
    with pytest.raises(ValueError, match="^sasrec needs timestamps"):
        diffrec.fit(GOOD, variant="sasrec", epochs=1)
    with pytest.raises(ValueError, match="^half_life=3.0 needs timestamps"):
        diffrec.fit(GOOD, variant="ease", half_life=3.0)


def test_histories_without_times_for_a_model_that_reads_them() -> None:
    data = Interactions.from_arrays([0, 0, 1, 1], [0, 1, 1, 2], timestamp=[1, 2, 3, 4])
    model = diffrec.fit(data, variant="t-diffrec", time_weights="linear", **SMALL)
    with pytest.raises(ValueError, match="^time_weights='linear' needs timestamps"):
        model.score(GOOD)


def test_a_frame_of_users_alone() -> None:
    model = diffrec.fit(GOOD, variant="popularity")
    with pytest.raises(ValueError, match="users: no column .* users that the model knows are named by their ids alone"):
        model.recommend(pd.DataFrame({"user": [0, 1]}))


def test_a_model_is_not_saved_over_a_folder(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match=f"^{tmp_path} is a folder; name a file$"):
        diffrec.fit(GOOD, variant="popularity").save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_frame_whose_columns_say_nothing() -> None:
    frame = pd.DataFrame({"Kunden-Nr": [1, 2], "Artikel": [3, 4]})
    words = r"data: .*name it with user=.*named in Interactions\.from_frame\(frame, user=, item=\)"
    with pytest.raises(ValueError, match=words):
        diffrec.fit(frame, variant="popularity")
    named = Interactions.from_frame(frame, user="Kunden-Nr", item="Artikel")
    assert diffrec.fit(named, variant="popularity").train_.shape == (2, 2)
    # As a file without a header is read.
    with pytest.raises(ValueError, match=r"data: .*name it with user=; it has 0, 1;"):
        diffrec.fit(pd.DataFrame([[1, 2], [3, 4]]), variant="popularity")


def test_a_failed_fit_leaves_the_model_as_it_was() -> None:
    model = DiffRec(**SMALL).fit(GOOD)
    before = model.score()

    def stop(_record: object) -> None:
        raise KeyboardInterrupt

    model.set_params(callbacks=[stop])
    with pytest.raises(KeyboardInterrupt):
        model.fit(np.ones((5, 7)))
    np.testing.assert_array_equal(model.score(), before)
    assert model.train_.shape == (2, 3)


def test_an_unfitted_model() -> None:
    for use in (lambda m: m.recommend(), lambda m: m.evaluate(GOOD), lambda m: m.save("x"), lambda m: m.score()):
        with pytest.raises(RuntimeError, match="not fitted yet"):
            use(DiffRec())


def test_a_loss_that_explodes_is_said() -> None:
    with pytest.raises(FloatingPointError, match="smaller lr"):
        diffrec.fit(GOOD, **(SMALL | {"lr": 1e30, "epochs": 3}))


@pytest.mark.parametrize("lr", [1e16, 1e30])
@pytest.mark.parametrize("form", ["diffrec", "l-diffrec", "multivae"])
def test_weights_that_explode_in_the_last_epoch_are_said(form: str, lr: float) -> None:
    settings = {"epochs": 1, "holdout": 0, "progress": False, "lr": lr}
    with pytest.raises(FloatingPointError, match="smaller lr"):
        diffrec.fit(GOOD, variant=form, **settings)


def test_what_no_reader_would_take_is_not_written(tmp_path: Path) -> None:
    model = diffrec.Popularity().fit(GOOD)
    model.save(tmp_path / "model")
    before = (tmp_path / "model").read_bytes()
    for wrong in (np.nan, -np.inf, 2e15):
        model._counts[1] = wrong
        with pytest.raises(ValueError, match="the fit has diverged"):
            model.save(tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == before


def test_files_that_are_no_models(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no model file"):
        diffrec.load(tmp_path / "none.diffrec")
    (tmp_path / "text").write_text("not a model")
    with pytest.raises(ValueError, match="not a diffrec model, or is damaged"):
        diffrec.load(tmp_path / "text")
    save_file({"a": torch.zeros(1)}, tmp_path / "other")
    with pytest.raises(ValueError, match="not a diffrec model"):
        diffrec.load(tmp_path / "other")
    model = diffrec.fit(GOOD, variant="popularity")
    model.save(tmp_path / "good")
    whole = (tmp_path / "good").read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="damaged"):
        diffrec.load(tmp_path / "cut")


def test_a_save_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = diffrec.fit(GOOD, variant="popularity")
    path = tmp_path / "model"
    model.save(path)
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("diffrec.data._replace.os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        model.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
