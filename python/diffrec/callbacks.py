"""Callbacks for training: epochs into TensorBoard, MLflow and Weights & Biases, and pruning for Optuna.

A callback is any function of an ``EpochRecord``; pass some as ``callbacks=``. Those here need a package each, named by
an extra: ``pip install 'diffrec[tensorboard]'``, ``[mlflow]``, ``[wandb]``, ``[tune]``.

>>> import diffrec
>>> losses = []
>>> data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
>>> model = diffrec.fit(data, dims=(8,), epochs=2, callbacks=[lambda epoch: losses.append(epoch.loss)])
>>> len(losses)
2
"""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from diffrec.checks import needed
from diffrec.training import EpochRecord

if TYPE_CHECKING:
    import optuna


def epoch_values(record: EpochRecord) -> dict[str, float]:
    """Name what an epoch brought, so that every tracker accepts the names.

    Parameters
    ----------
    record : EpochRecord
        The epoch.

    Returns
    -------
    dict
        ``train/loss``, ``train/seconds`` and, in epochs with validation, such as ``validation/recall_at_20``.

    Examples
    --------
    >>> epoch_values(EpochRecord(5, 0.25, 1.5, 0.125, "recall@20"))
    {'train/loss': 0.25, 'train/seconds': 1.5, 'validation/recall_at_20': 0.125}
    """
    values = {"train/loss": record.loss, "train/seconds": record.seconds}
    if record.validation is not None:
        values[f"validation/{record.metric.replace('@', '_at_') or 'metric'}"] = record.validation
    return values


class Tracker(ABC):
    """Writes ``epoch_values`` down somewhere. A copy of a recommender writes to the same place as the original."""

    def __call__(self, record: EpochRecord) -> None:
        """Write one epoch down."""
        self.write(epoch_values(record), record.epoch)

    @abstractmethod
    def write(self, values: dict[str, float], epoch: int) -> None:
        """Write the values of an epoch down."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


class TensorBoard(Tracker):
    """Epochs as TensorBoard scalars (extra ``tensorboard``).

    Parameters
    ----------
    folder : str or Path
        Where the event file goes, one folder per fit: ``tensorboard --logdir`` takes the folder above. Each epoch is
        on the disk when it is over; leaving a ``with`` block, or ``close``, closes the file.

    Raises
    ------
    ImportError
        When tensorboard is not installed.

    Examples
    --------
    >>> import diffrec, tempfile
    >>> data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
    >>> with tempfile.TemporaryDirectory() as folder, TensorBoard(folder) as board:
    ...     model = diffrec.fit(data, dims=(8,), epochs=2, callbacks=[board])
    """

    def __init__(self, folder: str | Path) -> None:
        needed("tensorboard", "this callback needs tensorboard", "diffrec[tensorboard]")
        from torch.utils.tensorboard.writer import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def write(self, values: dict[str, float], epoch: int) -> None:
        """Write the values of an epoch to the event file."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class MLflow(Tracker):
    """Epochs as metrics of an MLflow run (extra ``mlflow``).

    Parameters
    ----------
    run_id : str, optional
        The run to write to; by default the active one, which MLflow begins where there is none.

    Raises
    ------
    ImportError
        When MLflow is not installed.

    Examples
    --------
    >>> import diffrec, mlflow  # doctest: +SKIP
    >>> with mlflow.start_run():  # doctest: +SKIP
    ...     model = diffrec.fit(data, callbacks=[MLflow()])
    ...     mlflow.log_params(model.get_params())
    """

    def __init__(self, run_id: str | None = None) -> None:
        self._mlflow = needed("mlflow", "this callback needs mlflow", "diffrec[mlflow]")
        self._run_id = run_id

    def write(self, values: dict[str, float], epoch: int) -> None:
        """Log the values of an epoch, which is MLflow's step."""
        self._mlflow.log_metrics(values, step=epoch, run_id=self._run_id)


class WandB(Tracker):
    """Epochs in the history of a Weights & Biases run (extra ``wandb``).

    Parameters
    ----------
    run : wandb.Run, optional
        The run to write to; by default the one that ``wandb.init()`` began last. Charts have the epoch as their axis,
        so that several fits may share a run.

    Raises
    ------
    ImportError
        When wandb is not installed.
    ValueError
        When no run has begun.

    Examples
    --------
    >>> import diffrec, wandb  # doctest: +SKIP
    >>> with wandb.init(project="books", mode="offline") as run:  # doctest: +SKIP
    ...     model = diffrec.fit(data, callbacks=[WandB(run)])
    ...     run.config.update(model.get_params())
    """

    def __init__(self, run: Any = None) -> None:
        self._run = run if run is not None else needed("wandb", "this callback needs wandb", "diffrec[wandb]").run
        if self._run is None:
            raise ValueError("run must be a run of W&B, and none has begun: call wandb.init() first")
        for group in ("train/*", "validation/*"):
            self._run.define_metric(group, step_metric="epoch")

    def write(self, values: dict[str, float], epoch: int) -> None:
        """Log the values of an epoch beside its number."""
        self._run.log({"epoch": epoch, **values})


class PruneTrial:
    """Ends an Optuna trial early that the study's pruner gives no hope (extra ``tune``).

    Every validation is reported to the trial, the epoch being its step; where the pruner says so the fit ends with
    ``optuna.TrialPruned``, and the recommender stays what it was before. Epochs without validation pass: fit with
    ``valid=`` or a ``holdout``, and let the study maximize.

    Parameters
    ----------
    trial : optuna.trial.Trial
        The trial that this fit belongs to.

    Raises
    ------
    ImportError
        When Optuna is not installed.

    Examples
    --------
    >>> import diffrec, optuna
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
    >>> def objective(trial):
    ...     lr = trial.suggest_float("lr", 1e-4, 1e-1, log=True)
    ...     model = diffrec.fit(data, dims=(8,), epochs=10, lr=lr, callbacks=[PruneTrial(trial)])
    ...     return model.training_.best_validation
    >>> study = optuna.create_study(direction="maximize", pruner=optuna.pruners.MedianPruner())
    >>> study.optimize(objective, n_trials=2)
    >>> sorted(study.best_params)
    ['lr']
    """

    def __init__(self, trial: "optuna.trial.BaseTrial") -> None:
        self._pruned: type[Exception] = needed("optuna", "this callback needs optuna", "diffrec[tune]").TrialPruned
        self._trial = trial

    def __call__(self, record: EpochRecord) -> None:
        """Report an epoch's validation, and stop where it gives no hope."""
        if record.validation is None:
            return
        self._trial.report(record.validation, record.epoch)
        if self._trial.should_prune():
            raise self._pruned(f"pruned at epoch {record.epoch} with {record.metric} {record.validation:.4f}")

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self
