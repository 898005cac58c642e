"""The loop, batches and devices."""

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import nn

from diffrec import _core
from diffrec.diffusion import GaussianProcess, noise_betas
from diffrec.training import (
    EpochRecord,
    NoisedBatches,
    Pace,
    TrainingReport,
    autocast,
    loop,
    product_dtype,
    resolve_device,
    run_batches,
    train,
)

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")


def counting(
    validations: list[float], epochs: int, **settings: object
) -> tuple[TrainingReport, int, list[EpochRecord]]:
    """Train a module whose only weight is the number of the epoch; validation gives the listed values."""
    module = nn.Linear(1, 1, bias=False)
    values, records = iter(validations), []

    def run_epoch(epoch: int) -> float:
        assert module.training
        nn.init.constant_(module.weight, epoch)
        return 1 / epoch

    def validate() -> float:
        assert not module.training
        return next(values)

    report = train(
        module,
        run_epoch,
        pace=Pace(epochs),
        validate=validate if validations else None,
        metric="recall@20",
        progress=False,
        callbacks=[records.append],
        **settings,  # type: ignore[arg-type]
    )
    assert not module.training
    return report, int(module.weight.item()), records


def test_the_best_weights_are_kept() -> None:
    report, weight, records = counting([0.1, 0.3, 0.2, 0.3], epochs=8, validate_every=2)
    assert report.best_epoch == weight == 4
    assert report.best_validation == 0.3
    assert [r.validation for r in records] == [None, 0.1, None, 0.3, None, 0.2, None, 0.3]
    assert [r.epoch for r in records] == list(range(1, 9))
    assert records == report.epochs


def test_it_stops_when_patience_runs_out() -> None:
    report, weight, _ = counting([0.5, 0.4, 0.4, 0.4, 0.9], epochs=100, validate_every=5, patience=15)
    assert len(report.epochs) == 20
    assert weight == 5


def test_patience_ends_where_something_was_validated() -> None:
    report, weight, _ = counting([0.5, 0.4, 0.3, 0.8], epochs=100, validate_every=5, patience=8)
    assert [record.epoch for record in report.epochs if record.validation is not None] == [5, 10, 15]
    assert (len(report.epochs), weight) == (15, 5)


def test_the_last_epoch_is_validated() -> None:
    report, weight, _ = counting([0.5, 0.6], epochs=7, validate_every=5)
    assert report.epochs[-1].validation == 0.6
    assert weight == 7


def test_without_validation_it_runs_to_the_end() -> None:
    report, weight, _ = counting([], epochs=3)
    assert (len(report.epochs), report.best_epoch, weight, report.best_validation) == (3, 3, 3, None)


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        monkeypatch.setattr(loop.time, "perf_counter", lambda: self.now)


def test_training_ends_within_an_epoch_when_its_time_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    weight = nn.Parameter(torch.tensor(1.0))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    module = nn.Module()
    module.register_parameter("weight", weight)
    pace, rates, validated = Pace(10, 7.5, cosine=True), [], []

    def loss(batch: float) -> torch.Tensor:
        rates.append(optimizer.param_groups[0]["lr"])
        clock.now += 1
        return batch * weight

    report = train(
        module,
        lambda _: run_batches(loss, [1.0] * 3, optimizer, pace=pace),
        pace=pace,
        validate=lambda: validated.append(clock.now) or 0.5,  # type: ignore[func-returns-value]
        metric="recall@20",
        validate_every=2,
        progress=False,
    )
    assert len(report.epochs) == 3
    assert clock.now == 8  # two steps of the third epoch, the second of which was over time
    assert validated == [6, 8]
    # By the clock from 0 on, for 10 epochs would take 30 s.
    np.testing.assert_allclose(rates, [0.05 * (1 + np.cos(np.pi * second / 7.5)) for second in range(8)])


def test_without_a_limit_the_rate_falls_by_epochs() -> None:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.2)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.2), 4)
    pace = Pace(4, cosine=True)
    for pace.epoch in range(1, 5):
        pace.set_rate(optimizer)
        assert optimizer.param_groups[0]["lr"] == pytest.approx(reference.get_last_lr()[0])
        reference.optimizer.step()
        reference.step()


def test_a_report_survives_a_file() -> None:
    report, _, _ = counting([0.5, 0.6], epochs=7)
    assert TrainingReport.from_dict(report.to_dict()) == report


def test_an_infinite_loss_stops_at_once() -> None:
    with pytest.raises(FloatingPointError, match="loss became nan in epoch 1"):
        train(nn.Linear(1, 1), lambda _: float("nan"), pace=Pace(5), progress=False)


def test_every_row_comes_once_an_epoch_in_a_new_order() -> None:
    rng = np.random.default_rng(0)
    dense = np.where(rng.random((11, 6)) < 0.5, rng.random((11, 6)), 0).astype(np.float32)
    dense[:, 0] = np.arange(1, 12)
    batches = NoisedBatches(sparse.csr_array(dense), 4, torch.device("cpu"), np.random.default_rng(1), seed=0)
    assert len(batches) == 3
    orders = []
    for _ in range(2):
        plain = [batch.noised(torch.ones(len(batch)), torch.zeros(len(batch))).clone() for batch in batches.noised()]
        rows = torch.cat(plain).numpy()
        order = rows[:, 0].astype(int) - 1
        np.testing.assert_array_equal(rows, dense[order])
        assert sorted(order) == list(range(11))
        orders.append(order.tolist())
    assert orders[0] != orders[1]


def test_precision() -> None:
    cpu = resolve_device("cpu")
    a = torch.ones(8, 8)
    with autocast(torch.bfloat16, cpu):
        assert (a @ a).dtype == torch.bfloat16
    with autocast(torch.float32, cpu):
        assert (a @ a).dtype == torch.float32
    assert product_dtype("bfloat16", cpu) == torch.bfloat16
    assert product_dtype("float32", cpu, on_processor=True) == product_dtype("auto", cpu) == torch.float32
    fast = torch.bfloat16 if _core.multiplies_bfloat16() else torch.float32
    assert product_dtype("auto", cpu, on_processor=True) == fast
    assert resolve_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_gpu)])
def test_a_noised_batch_and_its_noise_belong_together(device: str) -> None:
    dense = np.eye(9, 130, dtype=np.float32)
    batches = NoisedBatches(sparse.csr_array(dense), 4, torch.device(device), np.random.default_rng(1), seed=0)
    process = GaussianProcess(noise_betas("linear", 5, 1.0, 0.1, 0.5), device=device)
    seen = []
    for batch in batches.noised():
        t = torch.arange(len(batch), device=device)
        signal, spread = process.forward_coefficients(t)
        x_t = batch.noised(signal, spread).clone()
        left = (x_t - signal[:, None] * batch.x0.to_dense(130)) / spread[:, None]
        noise = left.clone()
        for first in (0, 100):
            batch.subtract_noise(first, left[:, first : first + 100])
        torch.testing.assert_close(left, torch.zeros_like(left), rtol=0, atol=1e-5)
        seen.append(noise)
        x0 = batch.x0.to_dense(130)
        batch.subtract_x0(0, x0)
        assert not x0.any()
    everything = torch.cat(seen)
    assert abs(float(everything.mean())) < 0.1
    assert float(everything.std()) == pytest.approx(1, abs=0.1)
    assert len(everything.unique()) > 0.99 * everything.numel()
