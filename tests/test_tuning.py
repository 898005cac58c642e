"""The search for settings."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

import diffrec
from diffrec import DiffRec, tuning
from diffrec.training import Checkpoint

optuna.logging.set_verbosity(optuna.logging.WARNING)
DATA = diffrec.datasets.synthetic(users=80, items=40, seed=1)


def test_the_best_trial_is_fitted_on_everything() -> None:
    found = diffrec.tune(DATA, variant="itemknn", trials=4, progress=False, metric="ndcg@10")
    assert found.value == max(trial.value for trial in found.study.trials)
    assert found.model.train_ is DATA
    assert {name: found.model.get_params()[name] for name in found.settings} == found.settings
    again = diffrec.fit(DATA, variant="itemknn", **found.settings)
    np.testing.assert_array_equal(again.score(), found.model.score())
    assert str(found).startswith(f"ndcg@10 {found.value:.4f} on validation with neighbors=")


def test_a_seed_decides_the_search() -> None:
    one, other = (diffrec.tune(DATA, variant="rp3beta", trials=3, seed=5, progress=False) for _ in range(2))
    assert one.settings == other.settings


@pytest.mark.parametrize("variant", sorted(tuning.SPACES))
def test_every_space_can_be_fitted(variant: str) -> None:
    fixed: dict[str, Any] = {}
    if "epochs" in diffrec.recommenders.make(variant).get_params():
        fixed = {"epochs": 2, "validate_every": 1}
    found = diffrec.tune(DATA, variant=variant, trials=1, progress=False, **fixed)
    assert 0 <= found.value <= 1
    assert found.model.recommend(k=2).items.shape == (80, 2)


def test_a_space_of_ones_own_with_settings_held_fixed() -> None:
    found = diffrec.tune(
        DATA,
        trials=3,
        progress=False,
        space=lambda trial: {"lr": trial.suggest_float("lr", 1e-3, 1e-1, log=True)},
        dims=(8,),
        epochs=3,
        validate_every=1,
    )
    assert isinstance(found.model, DiffRec)
    assert found.model.settings.dims == (8,)
    assert found.model.settings.holdout == 0


def test_hopeless_trials_are_given_up() -> None:
    study = optuna.create_study(direction="maximize", pruner=optuna.pruners.ThresholdPruner(lower=1.1))
    with pytest.raises(ValueError, match="none of 2 trials could be fitted"):
        diffrec.tune(DATA, trials=2, progress=False, study=study, dims=(4,), epochs=2, validate_every=1)
    assert all(trial.state.name == "PRUNED" for trial in study.trials)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"variant": "itemnkn"}, ValueError, "variant must be one of .* did you mean 'itemknn'"),
        ({"variant": "popularity"}, ValueError, "variant 'popularity' has nothing to tune"),
        ({"trials": 0}, ValueError, "trials must be at least 1"),
        ({"metric": "auc@3"}, ValueError, "metric must be one of"),
        ({"metric": "novelty@10"}, ValueError, "metric must be one of .*; got 'novelty@10'"),
        ({"metric": "gini@10"}, ValueError, "metric must be one of .*; got 'gini@10'"),
        ({"study": optuna.create_study(direction="minimize")}, ValueError, "one direction maximize, got minimize"),
        ({"budget": "long"}, ValueError, "budget must be a time"),
        ({"budget": 1e-9}, ValueError, "budget=1e-09 was over before the first trial"),
        ({"dimz": (3,)}, TypeError, "'dimz' is not a setting"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        diffrec.tune(DATA, **arguments)


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r'pip install "diffrec\[tune\]"'):
        diffrec.tune(DATA, variant="itemknn", trials=1)


def test_trials_are_judged_by_what_is_asked() -> None:
    rng = np.random.default_rng(1)
    # Everybody takes again what was taken: to discover and to take next are two questions.
    item = np.repeat(rng.integers(12, size=(40, 3)), 4, axis=0).reshape(40, 12)
    bought = diffrec.Interactions.from_arrays(np.repeat(np.arange(40), 12), item.ravel(), np.tile(np.arange(12), 40))
    arguments = {"variant": "topfreq", "trials": 2, "progress": False, "metric": "recall@3"}
    again = diffrec.tune(bought, exclude_seen=False, **arguments)
    assert again.model.settings.repeats == "include"
    assert again.settings["repeats"] == "include"
    assert again.value == diffrec.tune(bought, repeats="include", **arguments).value > 0.3
    with pytest.raises(TypeError, match="exclude_seen must be True or False"):
        diffrec.tune(bought, exclude_seen="no", **arguments)


def test_a_search_that_stops_goes_on(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 6, "validate_every": 1, "trials": 8, "progress": False, "seed": 2}
    whole = diffrec.tune(DATA, variant="t-diffrec", **settings)
    assert {trial.state.name for trial in whole.study.trials} == {"COMPLETE", "PRUNED"}
    stops, keep = 0, Checkpoint.keep
    while True:
        with pytest.MonkeyPatch.context() as patch:
            left = iter([False] * 10 + [True])

            def keep_and_stop(self: Checkpoint, *arguments: Any, left: Any = left, **named: Any) -> bool:
                written = keep(self, *arguments, **named)
                if next(left):
                    raise KeyboardInterrupt
                return written

            patch.setattr(Checkpoint, "keep", keep_and_stop)
            try:
                found = diffrec.tune(DATA, variant="t-diffrec", **settings, checkpoint=tmp_path / "c")
                break
            except KeyboardInterrupt:
                stops += 1
    assert stops > 2
    for one, other in zip(found.study.trials, whole.study.trials, strict=True):
        for name in ("params", "value", "intermediate_values", "state", "user_attrs"):
            assert getattr(one, name) == getattr(other, name), name
    assert (found.settings, found.value) == (whole.settings, whole.value)
    np.testing.assert_array_equal(found.model.score(), whole.model.score())
    assert [file.name for file in tmp_path.iterdir()] == ["c"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DiffRec, "_fit", lambda *_: pytest.fail("it is fitted anew"))
        again = diffrec.tune(DATA, variant="t-diffrec", **settings, checkpoint=tmp_path / "c")
    np.testing.assert_array_equal(again.model.score(), whole.model.score())
    with pytest.raises(diffrec.CheckpointError, match="of metric='recall@20', and this is metric='ndcg@10'"):
        diffrec.tune(DATA, variant="t-diffrec", **settings, checkpoint=tmp_path / "c", metric="ndcg@10")
    with pytest.raises(ValueError, match="checkpoint is for a study of tune's own"):
        diffrec.tune(DATA, variant="ease", study=optuna.create_study(direction="maximize"), checkpoint=tmp_path / "d")


@pytest.mark.parametrize("variant", ["diffrec", "t-diffrec"])
def test_what_validation_chose_is_handed_out(variant: str) -> None:
    def space(trial: optuna.Trial) -> dict[str, Any]:
        return {"anchor": True, "dims": (trial.suggest_categorical("width", [4, 6]),), "epochs": 2, "denoiser": "mlp"}

    found = diffrec.tune(DATA, variant=variant, space=space, trials=2, progress=False)
    assert found.settings["holdout"] == 0
    assert found.model.training_.best_validation is None
    if variant == "diffrec":
        chosen = found.study.best_trial.user_attrs["chosen"]
        assert found.model.training_.facts["anchor_scale"] == chosen["anchor_scale"]


def test_a_search_goes_on_with_another_number_of_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    search: dict[str, Any] = {"variant": "ease", "progress": False, "checkpoint": tmp_path / "search"}
    few = diffrec.tune(DATA, trials=2, **search)
    fit, fits = diffrec.EASE._fit, 0

    def counted(*arguments: Any) -> None:
        nonlocal fits
        fits += 1
        fit(*arguments)

    for trials in (9, 1):
        with monkeypatch.context() as patch:
            patch.setattr(diffrec.EASE, "_fit", counted)
            found = diffrec.tune(DATA, trials=trials, **search)
        if trials == 9:
            # Seven trials more, and the best of all on everything.
            assert fits == 8
            assert [one.params for one in found.study.trials[:2]] == [one.params for one in few.study.trials]
        alone = diffrec.fit(DATA, variant="ease", **found.settings)
        np.testing.assert_array_equal(found.model.recommend(k=5).items, alone.recommend(k=5).items)
    assert found.value <= few.value
