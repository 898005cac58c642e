"""Trackers write down what the epochs brought, read back from where they put it; hopeless trials end."""

import copy
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from sklearn.base import clone

import diffrec
from diffrec.callbacks import MLflow, PruneTrial, TensorBoard, WandB, epoch_values
from diffrec.training import EpochRecord

DATA = diffrec.datasets.synthetic(users=60, items=40, seed=1)
SMALL: dict[str, Any] = {"dims": (8,), "epochs": 4, "validate_every": 2, "progress": False}
NAMES = {"train/loss", "train/seconds", "validation/recall_at_20"}


def fitted(*callbacks: Any, **settings: Any) -> list[EpochRecord]:
    return diffrec.fit(DATA, callbacks=callbacks, **(SMALL | settings)).training_.epochs


def test_records_name_their_metric() -> None:
    records = fitted()
    assert [r.metric for r in records] == ["", "recall@20", "", "recall@20"]
    assert set(epoch_values(records[0])) == {"train/loss", "train/seconds"}
    assert set(epoch_values(records[1])) == NAMES
    assert epoch_values(EpochRecord(1, 2.0, 3.0, 4.0))["validation/metric"] == 4.0


def test_models_without_validation_are_followed_too(tmp_path: Path) -> None:
    with TensorBoard(tmp_path) as board:
        model = diffrec.fit(DATA, variant="ials", factors=2, iterations=3, callbacks=[board], progress=False)
    assert scalars(tmp_path)["train/loss"] == pytest.approx({r.epoch: r.loss for r in model.training_.epochs})


# -- TensorBoard ---------------------------------------------------------------------------------------------------


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """Name -> step -> value, read from the event files by TensorBoard itself."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder)).Reload()
    return {name: {e.step: e.value for e in events.Scalars(name)} for name in events.Tags()["scalars"]}


def test_tensorboard(tmp_path: Path) -> None:
    with TensorBoard(tmp_path) as board:
        records = fitted(board)
    read = scalars(tmp_path)
    assert set(read) == NAMES
    assert read["train/loss"] == pytest.approx({r.epoch: r.loss for r in records})
    assert read["train/seconds"] == pytest.approx({r.epoch: r.seconds for r in records})
    validations = {r.epoch: r.validation for r in records if r.validation is not None}
    assert read["validation/recall_at_20"] == pytest.approx(validations)


def test_an_interrupted_fit_has_left_its_epochs(tmp_path: Path) -> None:
    def interrupt(record: EpochRecord) -> None:
        if record.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fitted(board := TensorBoard(tmp_path), interrupt)
    assert set(scalars(tmp_path)["train/loss"]) == {1, 2, 3}  # and the file is still open
    board.close()


def test_a_copied_recommender_writes_to_the_same_place(tmp_path: Path) -> None:
    with TensorBoard(tmp_path) as board:
        model = clone(diffrec.DiffRec(callbacks=[board], **SMALL))
        assert model.settings.callbacks == copy.deepcopy(model).settings.callbacks == (board,)
        model.fit(DATA)
    assert len(scalars(tmp_path)["train/loss"]) == 4


# -- MLflow --------------------------------------------------------------------------------------------------------


@pytest.fixture
def mlflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    import mlflow

    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    yield mlflow
    mlflow.set_tracking_uri(before)


def histories(mlflow: Any, run: Any) -> dict[str, dict[int, float]]:
    client = mlflow.MlflowClient()
    names = client.get_run(run.info.run_id).data.metrics
    return {name: {m.step: m.value for m in client.get_metric_history(run.info.run_id, name)} for name in names}


def test_mlflow(mlflow: Any) -> None:
    with mlflow.start_run() as run:
        records = fitted(MLflow())
    read = histories(mlflow, run)
    assert set(read) == NAMES
    assert read["train/loss"] == {r.epoch: r.loss for r in records}
    assert read["validation/recall_at_20"] == {r.epoch: r.validation for r in records if r.validation is not None}


def test_mlflow_with_a_run_of_its_own(mlflow: Any) -> None:
    with mlflow.start_run() as run:
        pass
    fitted(MLflow(run.info.run_id))
    assert mlflow.active_run() is None
    assert len(histories(mlflow, run)["train/loss"]) == 4


# -- Weights & Biases ----------------------------------------------------------------------------------------------


@pytest.fixture
def wandb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("WANDB_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    import wandb

    yield wandb
    wandb.teardown()


def run_records(folder: Path) -> Iterator[Any]:
    """The records of an offline run: protocol buffers in a log of LevelDB's format, after a header of 7 bytes."""
    from wandb.proto import wandb_internal_pb2

    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    log, place, record = file.read_bytes(), 7, b""
    while place + 7 <= len(log):
        left = 32768 - place % 32768  # a block; what follows no longer fits a header is padding
        if left < 7:
            place += left
            continue
        _, size, kind = struct.unpack_from("<IHB", log, place)
        record += log[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (1, 4):  # whole, or the last of its parts
            yield wandb_internal_pb2.Record.FromString(record)
            record = b""


def test_wandb(wandb: Any, tmp_path: Path) -> None:
    with wandb.init(project="books", settings=wandb.Settings(console="off")):
        records = fitted(WandB()) + fitted(WandB(), seed=1)
    wandb.teardown()  # the process that writes the file may still be writing
    rows, axes = [], set()
    for record in run_records(tmp_path):
        kind = record.WhichOneof("record_type")
        if kind == "history":
            items = {i.key or "/".join(i.nested_key): float(i.value_json) for i in record.history.item}
            rows.append({name: value for name, value in items.items() if not name.startswith("_")})
        elif kind == "metric":
            axes.add((record.metric.glob_name, record.metric.step_metric))
    assert rows == [{"epoch": r.epoch, **epoch_values(r)} for r in records]
    assert {("train/*", "epoch"), ("validation/*", "epoch")} <= axes


def test_wandb_without_a_run(wandb: Any) -> None:
    with pytest.raises(ValueError, match=r"none has begun: call wandb.init\(\) first"):
        WandB()


# -- Optuna --------------------------------------------------------------------------------------------------------


class Scripted(optuna.pruners.BasePruner):
    """Prunes at one step."""

    def __init__(self, at: int) -> None:
        self.at = at

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        return trial.last_step == self.at


@pytest.fixture
def quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(before)


@pytest.mark.usefixtures("quiet")
def test_a_trial_is_pruned_when_the_pruner_says_so() -> None:
    heard: list[EpochRecord] = []
    models: list[diffrec.DiffRec] = []

    def objective(trial: optuna.Trial) -> float:
        models.append(model := diffrec.DiffRec(**SMALL | {"epochs": 8}).fit(DATA))
        before = model.score()
        model.set_params(seed=9, callbacks=[heard.append, PruneTrial(trial)])
        try:
            model.fit(DATA)
        finally:
            np.testing.assert_array_equal(model.score(), before)
        raise AssertionError("the trial should have been pruned")

    study = optuna.create_study(direction="maximize", pruner=Scripted(at=4))
    study.optimize(objective, n_trials=1)
    (trial,) = study.trials
    assert trial.state == optuna.trial.TrialState.PRUNED
    assert trial.intermediate_values == {2: heard[1].validation, 4: heard[3].validation}
    assert len(heard) == 4


@pytest.mark.usefixtures("quiet")
def test_a_median_pruner_ends_the_hopeless_and_no_others() -> None:
    def objective(trial: optuna.Trial) -> float:
        lr = trial.suggest_float("lr", 1e-9, 1.0)
        settings: dict[str, Any] = SMALL | {"epochs": 40, "lr": lr, "dropout": 0.0, "batch_size": 20}
        model = diffrec.fit(DATA, callbacks=[PruneTrial(trial)], **settings)
        best = model.training_.best_validation
        assert best is not None
        return best

    pruner = optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=10)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    for lr in (3e-2, 1e-9):
        study.enqueue_trial({"lr": lr})
    study.optimize(objective, n_trials=2)
    good, hopeless = study.trials
    assert good.state == optuna.trial.TrialState.COMPLETE
    assert hopeless.state == optuna.trial.TrialState.PRUNED
    assert good.value is not None
    assert good.value == max(good.intermediate_values.values())
    assert 10 <= max(hopeless.intermediate_values) < 40


def test_without_validation_there_is_nothing_to_report() -> None:
    study = optuna.create_study(pruner=Scripted(at=1))
    PruneTrial(study.ask())(EpochRecord(1, 0.5, 0.1))
    assert study.trials[0].intermediate_values == {}


# -- without the packages ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "extra", "use"),
    [
        ("tensorboard", "tensorboard", "TensorBoard('x')"),
        ("mlflow", "mlflow", "MLflow()"),
        ("wandb", "wandb", "WandB()"),
        ("optuna", "tune", "PruneTrial(None)"),
    ],
)
def test_what_is_missing_is_named_with_its_extra(module: str, extra: str, use: str, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf'needs {module}: pip install "diffrec\[{extra}\]"'):
        eval(use, vars(diffrec.callbacks))
