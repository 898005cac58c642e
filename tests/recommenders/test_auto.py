"""fit without a variant: what it chooses, says and leaves alone."""

import dataclasses
import datetime
import logging
import math
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import diffrec
from diffrec import DiffRec, Interactions, Recommender, Stack
from diffrec.data import hold_out
from diffrec.recommenders import learning
from diffrec.recommenders.auto import blend, choose
from diffrec.recommenders.auto.candidates import Candidate, _as_written, closed_form, denoisers, quick
from diffrec.recommenders.auto.done import Done
from diffrec.recommenders.auto.search import Search
from diffrec.training import Checkpoint

NAMED: dict[str, Any] = {"seed": 0, "device": "cpu", "progress": False, "callbacks": (), "repeats": "exclude"}


def walks(users: int = 150, length: int = 12, items: int = 40, seed: int = 0) -> Interactions:
    rng = np.random.default_rng(seed)
    user, step = np.divmod(np.arange(users * length), length)
    item = (rng.integers(items, size=users)[user] + step) % items
    return Interactions.from_arrays(user, item, timestamp=step, items=np.arange(items))


def test_it_uses_the_order_where_that_ranks_better(caplog: pytest.LogCaptureFixture) -> None:
    data = walks()
    with caplog.at_level(logging.INFO, "diffrec"):
        model = diffrec.fit(data, progress=False, budget=None)
    assert model.train_ is data
    chosen = str(model.training_.facts["chosen"])
    assert "ndcg@20" in chosen
    assert "the order is used" in chosen
    assert chosen in caplog.text


def test_it_does_without_an_order() -> None:
    data = diffrec.datasets.synthetic(users=200, items=50, seed=0)
    data = Interactions(data.matrix, None, data.users, data.items)
    model = diffrec.fit(data, progress=False)
    assert "the order is not used" in str(model.training_.facts["chosen"])
    assert any(name.startswith("diffrec(") for name in candidates(model))


def candidates(model: Recommender) -> dict[str, float]:
    """Validation by candidate, the best first."""
    lines = str(model.training_.facts["candidates"]).splitlines()
    return {name: float(value) for name, value in (re.match(r"(.*): ndcg@20 (\S+),", line).groups() for line in lines)}  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def model() -> Recommender:
    """What is chosen for walks when there is time for everything."""
    return diffrec.fit(walks(), progress=False, budget=None)


def test_nothing_is_handed_out_that_validated_worse_than_another(model: Recommender) -> None:
    found, chosen = candidates(model), str(model.training_.facts["chosen"])
    assert len(found) > 15
    assert list(found.values()) == sorted(found.values(), reverse=True)
    best, value = next(iter(found.items()))
    assert best in chosen
    handed_out = float(re.search(r"ndcg@20 (\d\.\d+)", chosen)[1])  # type: ignore[index]
    assert handed_out >= value
    if isinstance(model, Stack):
        assert 1 < len(model.parts_) <= 4
        assert sum(model.settings.weights or ()) == pytest.approx(1)


def test_every_family_is_on_the_table(model: Recommender) -> None:
    found = candidates(model)
    families = {name.partition("(")[0] for name in found}
    assert families >= {"popularity", "itemknn", "rp3beta", "ials", "ease", "anchor", "t-diffrec"}
    # The order is all there is to say here: a denoiser beside a map that knows none is not worth its time.
    assert "diffrec" not in families
    assert any("sequence" in name for name in found)
    objectives = [name for name in found if name.startswith("anchor") and "forecast" in name]
    assert objectives
    assert len(objectives) < sum(name.startswith("anchor") for name in found)


def test_where_stacks_are_sought_all_kinds_have_a_place_and_some_a_second() -> None:
    # Of many items, with a clock, where what was had before is to be found again, all kinds are tried.
    data = diffrec.datasets.synthetic(users=60, items=2_500, seed=1)
    anchors: dict[str, dict[str, Any]] = {"forecast": {"objective": "forecast"}, "reconstruct": {}}
    tried = [*quick(data, repeats=True), *closed_form(data), *denoisers(data, anchors, repeats=True)]
    kinds = {one.family for one in tried}
    assert {"topfreq None None True", "t-diffrec forecast sequence False", "diffrec None None False"} <= kinds
    assert len(kinds) + 3 <= blend._CANDIDATES


def test_the_next_basket_has_rivals_of_its_own() -> None:
    found = candidates(diffrec.fit(walks(), progress=False, budget=None, repeats="include"))
    assert {name.partition("(")[0] for name in found} >= {"topfreq", "tifuknn"}


def test_what_there_is_no_time_for_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def slow(clock: list[float] = now) -> float:
        clock[0] += 0.5
        return clock[0]

    monkeypatch.setattr("diffrec.recommenders.auto.search.time.perf_counter", slow)
    model = diffrec.fit(walks(), progress=False, budget="40s")
    skipped = str(model.training_.facts["skipped"])
    assert "no time left" in skipped
    assert len(candidates(model)) > 3


def test_a_candidate_that_cannot_be_fitted_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: diffrec.EASE, matrix: Any) -> Any:
        raise MemoryError("no room for the map")

    monkeypatch.setattr(diffrec.EASE, "_similarity", refuse)
    model = diffrec.fit(walks(), progress=False, budget=None)
    assert "ease(): no room for the map" in str(model.training_.facts["skipped"])
    assert not any(name.startswith("ease") for name in candidates(model))


def test_a_gpu_without_room_leaves_a_candidate_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: diffrec.EASE, matrix: Any) -> Any:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(diffrec.EASE, "_similarity", refuse)
    data = walks(users=60, length=6, items=12)
    search = Search(*hold_out(data, 0.2, 0), NAMED)
    for candidate in (Candidate("popularity", {}), Candidate("ease", {})):
        search.try_out(candidate)
    assert search.skipped == {"ease()": "CUDA out of memory"}


def test_a_validation_part_that_knows_nobody_is_refused_as_everywhere() -> None:
    strangers = Interactions.from_arrays([900, 901], [0, 1])
    with pytest.raises(ValueError, match="valid must hold an interaction of a user and an item of the data, got none"):
        diffrec.fit(walks(), valid=strangers, progress=False)


def test_a_validation_part_that_is_too_small_is_told() -> None:
    data = Interactions.from_arrays([0, 1, 2, 3, 4], [0, 1, 0, 1, 0])
    later = Interactions.from_arrays([0, 1], [1, 0])
    assert "valid: " in str(diffrec.fit(data, valid=later, progress=False).training_.facts["skipped"])


def test_a_device_that_is_not_there_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "table", None)
    with pytest.raises(ValueError, match="device must be 'auto', 'cpu', 'cuda' or 'cuda:N', got 'gpuuu'"):
        diffrec.fit(walks(), device="gpuuu", progress=False)


def test_the_best_is_not_fitted_twice_where_a_validation_part_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    train, valid, _ = walks(users=60, length=8, items=12).split(valid=0.2, test=0.0)
    search = choose.begun(train, valid, math.inf, NAMED)
    for candidate in (Candidate("popularity", {}), Candidate("itemknn", {})):
        search.try_out(candidate)
    best = search.leader
    assert best is not None
    search.trials = [best[0]]
    monkeypatch.setattr(choose, "_fit", None)
    np.testing.assert_array_equal(choose.handed_out(search, train, NAMED).score(), best[1].score())


def test_what_knows_whole_histories_knows_the_neighbours_in_them_too() -> None:
    data = walks(users=60, length=8, items=12)
    learn, _ = hold_out(data, 0.3, 0)
    model = choose.knowing(diffrec.fit(learn, variant="tifuknn", repeats="include"), data)
    again = learning.taken_back(model, learning.kept(model), data)
    np.testing.assert_array_equal(model.score(), again.score())


def test_a_first_rival_of_long_histories_is_not_begun_without_the_time_for_it() -> None:
    data = Interactions.from_csr(np.ones((20, 4_000)))
    search = Search(data, data, {**NAMED, "repeats": "include"}, deadline=time.perf_counter() + 3.0)
    search.try_out(Candidate("popularity", {}))
    search.try_out(Candidate("itemknn", {}))
    assert search.skipped == {"itemknn()": "no time left"}


def test_a_denoiser_without_time_for_a_second_fit_knows_whole_histories() -> None:
    data = walks()
    learn, held = hold_out(data, 0.2, 0)
    search = Search(learn, held, NAMED, deadline=time.perf_counter() + 1000)
    search.train(Candidate("t-diffrec", {"dims": (8,), "epochs": 2}), 60.0)
    search.deadline = 0.0
    (model,) = choose._fitted(search, search.trials, [1.0], data, Done())
    assert model.train_ is data
    np.testing.assert_array_equal(model.score(), search.trials[0].model.score(data))  # type: ignore[union-attr]


@pytest.mark.parametrize("others", [("ease",), ("ease", "itemknn")])
def test_who_has_no_history_gets_what_is_popular(others: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    data, users = walks(), np.arange(152)

    def handed_out(data: Interactions) -> Recommender:
        search = tried(Candidate("popularity", {}), *(Candidate(one, {}) for one in others))
        best = search.trials[1:], blend.Blend([1, 2], [1 / len(others)] * len(others), 1.0)
        monkeypatch.setattr(search, "blend", lambda: best)
        return choose.handed_out(search, data, NAMED)

    plain, model = handed_out(data), handed_out(data.align(users)[0])
    assert isinstance(model, Stack)
    assert "Users without a history get popularity()" in str(model.training_.facts["chosen"])
    popular = diffrec.fit(data, variant="popularity").recommend([0], k=5, exclude_seen=False).items
    np.testing.assert_array_equal(model.recommend([150, 151], k=5).items, np.tile(popular, (2, 1)))
    # Nothing moves for the others, and nothing is added where everybody has a history.
    if others == ("ease",):
        np.testing.assert_array_equal(model.recommend(users[:150], k=40).items, plain.recommend(k=40).items)
    assert len(getattr(plain, "parts_", [plain])) == len(others)


def test_newcomers_get_what_is_popular_where_the_last_ones_came() -> None:
    # Tastes that change: those who come in an hour take the items of that hour, which is over with it.
    user, place = np.divmod(np.arange(600 * 3), 3)
    hour = user // 100
    items = hour * 5 + (user + place) % 5
    data = Interactions.from_arrays(user, items, timestamp=user + place / 8, items=np.arange(30))
    of_late = {"half_life": datetime.timedelta(seconds=50)}
    search = tried(Candidate("popularity", {}), Candidate("popularity", of_late))
    best = choose._popular_with_newcomers(search, data)
    assert best is not None
    assert best.candidate.settings == of_late
    # Without a clock it is the best of the table.
    assert choose._popular_with_newcomers(search, walks()) is max(search.trials, key=lambda trial: trial.value)
    search.trials.clear()
    assert choose._popular_with_newcomers(search, walks()) is None


def test_what_was_fitted_on_everything_is_taken_back_however_short_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    search, done = (
        tried(Candidate("popularity", {}), Candidate("ease", {}), deadline=time.perf_counter() + 1000),
        Done(),
    )
    search.trials[1] = slow = dataclasses.replace(search.trials[1], value=1.0, seconds=5000.0)
    search.leader = None
    assert choose.handed_out(search, walks(), NAMED, done).variant == "popularity"
    kept = diffrec.fit(walks(), variant="ease")
    monkeypatch.setattr(done, "held", lambda candidate, *_: kept if candidate is slow.candidate else None)
    search.whole.clear()
    # Another does not become a part of it by its lists here.
    monkeypatch.setattr(search, "trials", [slow])
    assert choose.handed_out(search, walks(), NAMED, done) is kept


def test_a_denoiser_that_cannot_go_on_leaves_the_time_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    search = tried(Candidate("popularity", {}), deadline=time.perf_counter() + 1000)
    candidate, fit = Candidate("t-diffrec", {"dims": (8,), "epochs": 20}), DiffRec.fit

    def once(self: DiffRec, *given: Any, init: Any, **named: Any) -> DiffRec:
        return refusing() if init is not None else fit(self, *given, init=init, **named)

    monkeypatch.setattr("diffrec.training.loop.Pace.over", True)
    monkeypatch.setattr(DiffRec, "fit", once)
    assert not choose._train_in_time(search, candidate, 0.6)
    assert [trial.candidate.variant for trial in search.trials] == ["popularity", "t-diffrec"]
    assert search.skipped == {f"{candidate}, going on": "no room for the map"}


def refusing(*_: Any, **__: Any) -> Any:
    raise MemoryError("no room for the map")


def tried(*candidates: Candidate, deadline: float = math.inf, final: bool = False) -> Search:
    """A search that has judged these on walks."""
    search = Search(*hold_out(walks(), 0.2, 0), NAMED, deadline, final=final)
    for candidate in candidates:
        search.try_out(candidate)
    return search


def test_what_cannot_be_fitted_on_everything_is_handed_out_as_the_search_fitted_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search = tried(Candidate("popularity", {}), Candidate("ease", {"half_life": 2.0}))
    monkeypatch.setattr(diffrec.EASE, "_similarity", refusing)
    model = choose.handed_out(search, walks(), NAMED)
    assert model.similarity_ is search.leader[1].similarity_  # type: ignore[attr-defined, index]
    assert len(model.train_) == len(walks())
    assert "ease(half_life=2.0) on everything: no room for the map" in str(model.training_.facts["skipped"])


def test_what_can_be_handed_out_in_no_way_is_chosen_without(monkeypatch: pytest.MonkeyPatch) -> None:
    search = tried(Candidate("popularity", {}), Candidate("itemknn", {}), Candidate("ease", {"half_life": 2.0}))
    search.leader = None
    monkeypatch.setattr(diffrec.EASE, "_similarity", refusing)
    fitted = []
    fit = choose._fit
    monkeypatch.setattr(
        choose, "_fit", lambda one, *rest, **named: (fitted.append(str(one)), fit(one, *rest, **named))[1]
    )
    model = choose.handed_out(search, walks(), NAMED)
    parts = model.parts_ if isinstance(model, Stack) else [model]
    assert "ease" not in {part.variant for part in parts}
    # What was fitted before the failure is not fitted again.
    assert len(fitted) == len(set(fitted))
    # Where nothing is left there is an error.
    monkeypatch.setattr(choose, "_fit", refusing)
    search.whole.clear()
    with pytest.raises(MemoryError, match="no room"):
        choose.handed_out(search, walks(), NAMED)


def test_a_denoiser_that_cannot_be_judged_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    search = tried(Candidate("popularity", {}))
    monkeypatch.setattr("diffrec.recommenders.auto.search.Lists.of", refusing)
    assert not search.train(Candidate("t-diffrec", {"dims": (8,), "epochs": 1}), None)
    assert list(search.skipped.values()) == ["no room for the map"]
    assert len(search.trials) == 1


class Clock:
    """Time that passes where a test says so."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        patch.setattr("diffrec.recommenders.auto.search.time.perf_counter", lambda: self.now)

    def slowed(self, seconds: float, work: Any) -> Any:
        """``work`` that takes so long."""

        def slow(*arguments: Any, **named: Any) -> Any:
            self.now += seconds
            return work(*arguments, **named)

        return slow


def test_what_passes_before_the_search_is_spent_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, deadlines = Clock(monkeypatch), []
    monkeypatch.setattr(choose, "parted", clock.slowed(7.0, choose.parted))
    monkeypatch.setattr(choose, "table", lambda search, _: (deadlines.append(search.deadline), refusing())[1])
    with pytest.raises(MemoryError):
        diffrec.fit(walks(), budget="30s", progress=False)
    assert deadlines == [30.0]


FORECAST = Candidate("anchor", {"objective": "forecast", "anchor_damping": 0.0, "horizon": 5}, (10.0,))
BESIDE = Candidate(
    "t-diffrec", {"anchor": True, **FORECAST.settings, "anchor_l2": 10.0, "dims": (8,), "epochs": 2, "patience": 1}
)


def test_an_anchor_that_takes_long_is_counted_before_a_denoiser_is_fitted_on_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, equations = Clock(monkeypatch), diffrec.Anchor._equations
    search = tried(Candidate("popularity", {}), deadline=100.0)
    monkeypatch.setattr(diffrec.Anchor, "_equations", clock.slowed(20.0, equations))
    search.try_out(FORECAST)
    search.train(BESIDE, 60.0)
    anchor, denoiser = search.trials[1:]
    assert anchor.seconds == 20.0
    assert search.seconds_of_anchor(denoiser.candidate) == 20.0
    # Time is kept for both of them.
    assert search.reserve == pytest.approx(search.refit * 20)
    search.trials[-1] = denoiser = dataclasses.replace(denoiser, seconds=40.0)
    clock.now = 60.0
    (model,) = choose._fitted(search, [denoiser], [1.0], walks(), Done())
    # 36 seconds are left to plan with, and some 25 and an epoch of 20 are needed: not even the anchor is solved for.
    assert clock.now == 60.0
    np.testing.assert_array_equal(model.score(), denoiser.model.score(walks()))  # type: ignore[union-attr]
    search.whole.clear()
    monkeypatch.setattr(diffrec.Anchor, "_equations", clock.slowed(65.0, equations))
    clock.now = 20.0
    (model,) = choose._fitted(search, [denoiser], [1.0], walks(), Done())
    # It took longer than foreseen, and what is left would make a worse denoiser.
    assert clock.now == 85.0
    np.testing.assert_array_equal(model.score(), denoiser.model.score(walks()))  # type: ignore[union-attr]


def test_a_denoiser_without_the_time_for_a_fit_on_everything_goes_on_there(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, begun, fit = Clock(monkeypatch), [], DiffRec.fit
    search = tried(Candidate("popularity", {}), deadline=100.0)
    search.train(Candidate("t-diffrec", {"dims": (8,), "epochs": 6, "patience": 6}), 60.0)
    search.trials[-1] = denoiser = dataclasses.replace(search.trials[-1], seconds=60.0)
    epochs = denoiser.candidate.settings["epochs"]

    def noted(self: DiffRec, *given: Any, init: Any, **named: Any) -> DiffRec:
        begun.append(init)
        return fit(self, *given, init=init, **named)

    def handed_out() -> Any:
        search.whole.clear()
        return choose._fitted(search, [denoiser], [1.0], walks(), Done())[0]

    monkeypatch.setattr(DiffRec, "fit", noted)
    assert len(handed_out().training_.epochs) == epochs
    clock.now = 50.0
    model = handed_out()
    # From its weights, for a fifth of its epochs; a later fit is a whole one.
    assert len(model.training_.epochs) == math.ceil(epochs / 5) < epochs
    assert model.get_params()["epochs"] == model.settings.epochs == epochs
    assert model.get_params()["time_limit"] is model.settings.time_limit is None
    assert model.settings.holdout == 0
    assert begun == [None, denoiser.model]
    clock.now = 99.0
    assert handed_out().get_params()["time_limit"] is None
    np.testing.assert_array_equal(handed_out().score(), denoiser.model.score(walks()))  # type: ignore[union-attr]
    assert len(begun) == 2


@pytest.mark.parametrize("final", [False, True])
def test_a_denoiser_that_is_cut_short_goes_on_with_all_the_time_there_is(
    final: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    search = tried(Candidate("popularity", {}), deadline=1000.0, final=final)
    candidate = Candidate("t-diffrec", {"dims": (8,), "epochs": 20})
    calls, begun, train, fit = [], [], Search.train, DiffRec.fit

    def slowly(self: Search, candidate: Candidate, seconds: float, **named: Any) -> Any:
        """Train for all of the time, which ends within the first step."""
        calls.append((seconds, named.get("after")))
        clock.now += seconds
        return train(self, candidate, seconds, **named)

    def noted(self: DiffRec, *given: Any, init: Any, **named: Any) -> DiffRec:
        begun.append(init)
        return fit(self, *given, init=init, **named)

    monkeypatch.setattr("diffrec.training.loop.Pace.over", True)
    monkeypatch.setattr(Search, "train", slowly)
    monkeypatch.setattr(DiffRec, "fit", noted)
    assert choose._train_in_time(search, candidate, 0.6)
    first, second = calls[1][1], search.trials[-1]
    # The better one of both is on the table, with the epochs of both.
    assert len(search.trials) == 2 + (second.value < first.value)
    assert (first.candidate.settings["epochs"], second.candidate.settings["epochs"]) == (2, 3)
    # Unless it was trained on everything, a fit on it is planned for, until it shows that one takes all the time.
    share = 540 if final else 270
    assert calls == [(pytest.approx(share), None), (pytest.approx(0.9 * (1000 - share)), first)]
    assert begun == [None, first.model]


def test_an_anchor_that_is_a_part_is_not_solved_again_for_the_denoiser_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search = tried(Candidate("popularity", {}), FORECAST)
    search.train(BESIDE, None)
    solved = []
    equations = diffrec.Anchor._equations
    monkeypatch.setattr(diffrec.Anchor, "_equations", lambda *given: (solved.append(1), equations(*given))[1])
    models = choose._fitted(search, search.trials[1:], [0.5, 0.5], walks(), Done())
    assert [model.variant for model in models] == ["anchor", "t-diffrec"]  # type: ignore[union-attr]
    assert len(solved) == 1


def test_an_anchor_that_an_earlier_run_judged_is_not_solved_in_the_time_of_the_denoiser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    search = tried(Candidate("popularity", {}), FORECAST, deadline=1000.0)
    search.release_anchors()
    search.trials[1] = search.anchors["forecast"] = dataclasses.replace(search.trials[1], seconds=100.0)
    monkeypatch.setattr(diffrec.Anchor, "_equations", clock.slowed(100.0, diffrec.Anchor._equations))
    seconds = []
    monkeypatch.setattr(search, "train", lambda _, given: seconds.append((clock.now, given)))
    choose._train_in_time(search, BESIDE, 1.0)
    assert seconds == [(100.0, pytest.approx((0.9 * 900 - search.refit * 100) / 2))]
    # Where there is no time for it, it is left out and said.
    search.release_anchors()
    clock.now = 800.0
    choose._train_in_time(search, BESIDE, 1.0)
    assert clock.now == 800.0
    assert search.skipped == {str(BESIDE): "no time left"}


def test_epochs_on_everything_go_by_those_that_were_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    search = tried(Candidate("popularity", {}))

    def again(best: int, done: int, **settings: Any) -> int:
        """Epochs of the fit on everything of a denoiser that was at its best then."""

        def fit(self: DiffRec, *_: Any, **__: Any) -> DiffRec:
            epochs = [diffrec.training.EpochRecord(epoch + 1, 1.0, 1.0) for epoch in range(done)]
            self.settings, self.training_ = self._wanted, diffrec.training.TrainingReport(epochs, best)
            return self

        monkeypatch.setattr(DiffRec, "fit", fit)
        monkeypatch.setattr("diffrec.recommenders.auto.search.Lists.of", lambda *_: search.trials[0].lists)
        search.train(Candidate("t-diffrec", {"epochs": 20, "patience": 5, "dims": (8,), **settings}), None)
        return int(search.trials[-1].candidate.settings["epochs"])

    # At its best before the rate was 0: as much of it in all, falling to 0 by then.
    assert again(12, 20) == again(12, 17) == 18
    # Without patience it was the time that ended it, and the rate was 0 at the last.
    assert again(6, 10) == 9
    assert again(20, 20) == 20
    assert again(12, 20, lr_schedule="constant") == 12
    # What was cut short may go on, but for half as long again.
    assert again(7, 7) == 11
    assert again(6, 7) == 11
    assert again(15, 15) == 20


def test_what_denoisers_leave_of_their_time_is_for_further_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    search = Search(*hold_out(walks(), 0.2, 0), NAMED, deadline=100.0)
    maps = [dataclasses.replace(FORECAST, settings={**FORECAST.settings, "horizon": horizon}) for horizon in (5, 20)]
    monkeypatch.setattr(choose, "quick", lambda *_, **__: [Candidate("popularity", {})])
    monkeypatch.setattr(choose, "closed_form", lambda _: maps)
    monkeypatch.setattr(Search, "try_out", clock.slowed(30.0, Search.try_out))
    monkeypatch.setattr(choose, "_train_denoisers", lambda search, _: held.append(dict(search.skipped)))
    held: list[dict[str, str]] = []
    choose.table(search)
    assert held == [{str(maps[1]): "no time left"}]
    assert not search.skipped
    assert len(search.trials) == 3


def shoppers(users: int = 3_600, items: int = 40) -> Interactions:
    """A clock that users share: each comes twice, a moment apart, one user after another."""
    user, visit = np.divmod(np.arange(users * 2), 2)
    return Interactions.from_arrays(user, (user + visit) % items, timestamp=user + 50 * visit, items=np.arange(items))


def test_candidates_are_judged_by_who_asked_last() -> None:
    data = shoppers()
    search = Search(*hold_out(data, 0.2), NAMED)
    # A third of all, the newest.
    np.testing.assert_array_equal(search._judged.rows, np.arange(2_400, 3_600))
    # Where each user counts moments anew, nobody is newer than another.
    places = Interactions.from_arrays(
        *np.divmod(np.arange(7_200), 2), timestamp=np.arange(7_200) % 2, items=np.arange(2)
    )
    assert search.judged == 1_200
    # A part drawn from all of the time asks about every moment of it.
    learn, valid, _ = data.split(by="random", valid=0.5, test=0.0)
    assert len(Search(learn, valid, NAMED)._judged.rows) > 1_200
    assert Search(*hold_out(places, 0.2), {**NAMED, "repeats": "include"}).judged == 3_600


def test_what_nobody_is_judged_by_is_learnt_from() -> None:
    data = shoppers()
    search = Search(*hold_out(data, 0.2), NAMED)
    # First visits of all and second ones of all but the newest third: what came at the same time was not known then.
    np.testing.assert_array_equal(np.diff(search.learn.matrix.indptr), [2] * 2_400 + [1] * 1_200)
    assert search.refit == pytest.approx(1.05 * 7_200 / 6_000)
    # Without a clock it is put back wherever nobody is judged by it, also of more users than are judged.
    user, step = np.divmod(np.arange(5_000 * 2), 2)
    blind = Search(*hold_out(Interactions.from_arrays(user, (user + step) % 40), 0.5), NAMED)
    rows = blind._judged.rows
    assert len(rows) == 4_000
    assert len(blind.learn) == 6_000
    assert (np.diff(blind.learn.matrix.indptr)[rows] == 1).all()
    # What a validation part holds is for judging, where all of train is learnt from.
    learn, valid = hold_out(data, 0.2)
    assert Search(learn, valid, NAMED, final=True).learn is learn


def test_the_few_who_came_twice_do_not_speak_for_the_others() -> None:
    def held(again: int) -> tuple[Interactions, Interactions]:
        rng = np.random.default_rng(0)
        user, place = np.divmod(np.arange(1_000 * 4), 4)
        user, moment = np.append(user, np.arange(again)), np.append(user, np.full(again, 5_000))
        item = np.append((rng.integers(40, size=1_000)[user[:4_000]] + place) % 40, np.full(again, 40))
        data = Interactions.from_arrays(user, item, timestamp=moment)
        assert ("times" in choose.begun(data, None, math.inf, NAMED).skipped) == (again == 12)
        return choose.parted(data, 0)

    learn, valid = held(again=12)
    assert learn.timestamps is None
    assert np.diff(valid.matrix.indptr).all()
    assert not any("half_life" in one.settings for one in quick(learn, repeats=False))
    learn, valid = held(again=60)
    assert learn.timestamps is not None
    assert len(valid) == 60


def test_popularity_by_the_clock_needs_one() -> None:
    spans = [one.settings.get("half_life") for one in quick(shoppers(), repeats=False) if one.variant == "popularity"]
    assert spans[0] is None
    assert all(isinstance(span, datetime.timedelta) for span in spans[1:])
    assert len(spans) == 6
    assert [str(one) for one in quick(walks(), repeats=False) if one.variant == "popularity"] == ["popularity()"]


@pytest.mark.parametrize(("unit", "different"), [(365.25 * 86_400, 6), (3_600.0, 6), (1e8, 4)])
def test_times_in_any_unit_have_their_parts(unit: float, different: int) -> None:
    day = shoppers()
    times = 2020 + (day.timestamps - day.timestamps.min()) / unit  # type: ignore[operator]
    data = Interactions.from_csr(day.matrix, times)
    names = [str(one) for one in [*quick(data, repeats=False), *closed_form(data)]]
    assert len(set(names)) == len(names)
    assert sum(name.startswith("popularity") for name in names) == different
    span = float(np.ptp(times))
    assert names[1] == f"popularity(half_life={_as_written(datetime.timedelta(seconds=span / 4))})"


def test_a_transformer_is_tried_wherever_there_is_an_order() -> None:
    forecast = {"objective": "forecast", "horizon": 7}
    named = [str(one) for one in denoisers(walks(), {"forecast": forecast}, repeats=False)]
    assert named[0].startswith("t-diffrec(anchor=True, objective='forecast', horizon=7, denoiser='sequence'")
    # Also where no map of the order ranks well, or does what was had before rank first.
    alone = "t-diffrec(anchor=False, denoiser='sequence', epochs=20)"
    assert [str(one) for one in denoisers(walks(), {}, repeats=False)] == [alone]
    again = [one.settings for one in denoisers(walks(), {}, repeats=True)]
    assert [one.get("denoiser") for one in again] == [None, "sequence"]
    assert again[0]["anchor"] is False
    blind = diffrec.datasets.synthetic(users=60, items=30, seed=0)
    blind = Interactions(blind.matrix, None, blind.users, blind.items)
    assert [one.variant for one in denoisers(blind, {"reconstruct": {}}, repeats=False)] == ["diffrec"]


def test_a_choice_without_a_budget_multiplies_alike_on_every_processor(model: Recommender) -> None:
    trained = [name for name in candidates(model) if name.startswith("t-diffrec")]
    assert trained
    assert all("precision='float32'" in name for name in trained)


def test_what_has_the_most_to_say_is_fitted_on_everything_first(monkeypatch: pytest.MonkeyPatch) -> None:
    data = walks()
    search = Search(*hold_out(data, 0.2, 0), NAMED, deadline=time.perf_counter() + 1000)
    for width in (4, 8, 16):
        search.train(Candidate("t-diffrec", {"dims": (width,), "epochs": 1}), 60.0)
    fitted = []

    def fit(candidate: Candidate, settings: dict[str, Any], *_: Any, **__: Any) -> Any:
        fitted.append((candidate.settings["dims"], settings["time_limit"]))
        search.deadline = 0.0 if len(fitted) == 2 else search.deadline
        return search.trials[0].model

    monkeypatch.setattr(choose, "_fit", fit)
    models = choose._fitted(search, search.trials, [0.2, 0.5, 0.3], data, Done())
    # The first two get all the time that is left, and there is none for the third.
    assert [dims for dims, _ in fitted] == [(8,), (16,)]
    assert all(limit > 800 for _, limit in fitted)
    assert models[0].train_ is data


def test_what_cannot_be_fitted_again_in_time_is_not_handed_out() -> None:
    search = Search(*hold_out(walks(), 0.2, 0), NAMED, deadline=time.perf_counter() + 1000)
    for candidate in (Candidate("popularity", {}), Candidate("ease", {"half_life": 2.0})):
        search.try_out(candidate)
    assert search.blend()[0][0].candidate.variant == "ease"
    # A solution of hours: time is kept for it while it is to be had, and it is left out when that has passed.
    search.trials[1] = dataclasses.replace(search.trials[1], seconds=900.0)
    fitted = search.leader[1]  # type: ignore[index]
    search.leader = None
    assert search.reserve == pytest.approx(search.refit * 900 + 20 * search.ranking)
    assert [trial.candidate.variant for trial in search.blend()[0]] == ["popularity"]
    search.deadline = 0.0
    assert [trial.candidate.variant for trial in search.blend()[0]] == ["popularity"]
    # Where it was fitted in this run it is handed out as it is, knowing whole histories.
    search.leader = search.trials[1], fitted
    chosen, _ = search.blend()
    assert [trial.candidate.variant for trial in chosen] == ["ease"]
    (model,) = choose._fitted(search, chosen, [1.0], walks(), Done())
    assert model.similarity_ is fitted.similarity_  # type: ignore[attr-defined]
    # What an earlier run found to be better is no model of this one's.
    search.trials.append(dataclasses.replace(search.trials[0], value=1.0, seconds=900.0))
    assert search.best is search.trials[-1]
    assert search.as_it_is(search.best) is None
    assert model.train_.shape == walks().shape


def test_parts_that_would_be_late_together_are_no_stack() -> None:
    search = Search(*hold_out(diffrec.datasets.synthetic(users=400, items=60, seed=4), 0.2, 0), NAMED)
    for candidate in quick(search.learn, repeats=False):
        search.try_out(candidate)
    chosen, _ = search.blend()
    assert len(chosen) > 1
    # Each of the parts could be fitted again in time, but not two of them.
    parts = [trial.candidate for trial in chosen]
    search.deadline = time.perf_counter() + 100
    search.trials = [
        dataclasses.replace(trial, seconds=60.0) if trial.candidate in parts else trial for trial in search.trials
    ]
    chosen, _ = search.blend()
    assert search.refit * sum(trial.seconds for trial in chosen) <= 100
    # There is time for the best of all, and for what costs next to nothing: that would be together, and worse.
    search.trials = [
        dataclasses.replace(trial, seconds=0.1 if trial.candidate.variant == "popularity" else 60.0)
        for trial in search.trials
    ]
    chosen, _ = search.blend()
    assert chosen[0] is search.best


def test_however_short_the_time_something_is_handed_out() -> None:
    model = diffrec.fit(walks(), budget=1e-6, progress=False)
    assert len(candidates(model)) == 1
    assert model.recommend([0], k=3).items.shape == (1, 3)


def test_the_first_forecast_is_expected_to_take_long() -> None:
    search = Search(*hold_out(walks(), 0.2, 0), NAMED, deadline=time.perf_counter() + 1000)
    search.try_out(Candidate("popularity", {}))
    search.trials[0] = dataclasses.replace(search.trials[0], seconds=40.0)
    search.try_out(Candidate("anchor", {"objective": "forecast"}, (10.0,)))
    assert list(search.skipped.values()) == ["no time left"]
    search.try_out(Candidate("anchor", {}, (10.0,)))
    assert len(search.trials) == 2


def test_how_long_a_forecast_took_says_nothing_of_other_maps() -> None:
    named = {"seed": 0, "device": "cpu", "progress": False, "callbacks": (), "repeats": "exclude"}
    search = Search(*hold_out(walks(), 0.2, 0), named, deadline=time.perf_counter() + 1000)
    search.try_out(Candidate("popularity", {}))
    search.try_out(Candidate("anchor", {"objective": "forecast"}, (10.0,)))
    search.trials[1] = dataclasses.replace(search.trials[1], seconds=300.0)
    search.try_out(Candidate("anchor", {}, (10.0,)))
    assert len(search.trials) == 3
    search.try_out(Candidate("anchor", {"objective": "forecast", "horizon": 7}, (10.0,)))
    assert len(search.trials) == 3


def test_given_validation_is_what_it_chooses_on() -> None:
    train, valid, _ = walks().split(by="time", valid=0.2, test=0.0)
    model = diffrec.fit(train, valid=valid, progress=False, budget=None)
    assert model.train_ is train
    assert "held-out interactions" in str(model.training_.facts["chosen"])


def test_too_little_to_choose_by() -> None:
    model = diffrec.fit(np.eye(5, dtype=np.float32) + np.eye(5, k=1, dtype=np.float32), progress=False)
    assert isinstance(model, Stack)
    assert [part.variant for part in model.parts_] == ["rp3beta", "popularity"]
    assert "stack of rp3beta and popularity: 0 held-out interactions are too few" in str(
        model.training_.facts["chosen"]
    )
    # Item 1 was had along with item 0 and item 2 with item 1.
    assert model.recommend([0], k=1).items.tolist() == [[2]]


def test_of_single_interactions_the_popular_is_recommended() -> None:
    model = diffrec.fit(Interactions.from_arrays(range(9), [0, 1, 1, 2, 2, 2, 3, 3, 3]), progress=False, budget="2s")
    assert model.recommend([0, 8], k=2).items.tolist() == [[2, 3], [2, 1]]


def test_where_validation_is_too_little_some_of_train_is_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "_train_denoisers", lambda *_: None)
    train, valid, _ = walks(60).split(by="leave-last")
    few = valid.where(np.arange(len(valid)) < 3)
    model = diffrec.fit(train, valid=few, progress=False)
    assert len(candidates(model)) > 10
    assert "valid: 3 interactions to find in it are too few" in str(model.training_.facts["skipped"])


def test_a_seed_decides_the_choice() -> None:
    data = walks(users=80, length=8, items=20)
    one, other = (diffrec.fit(data, seed=3, progress=False, budget=None) for _ in range(2))
    np.testing.assert_array_equal(one.score(), other.score())


def test_named_settings_leave_nothing_to_choose() -> None:
    model = diffrec.fit(walks(), dims=(4,), epochs=1, progress=False)
    assert isinstance(model, DiffRec)
    assert model.settings.dims == (4,)
    assert "chosen" not in model.training_.facts


@pytest.mark.parametrize(
    ("budget", "error", "words"),
    [
        ("soon", ValueError, "budget must be a time such as '90s', '5min' or '1h', got 'soon'"),
        (0, ValueError, "budget must be above 0"),
    ],
)
def test_impossible_budgets(budget: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        diffrec.fit(walks(), budget=budget)  # type: ignore[arg-type]


@pytest.mark.parametrize("named", [{"variant": "ease"}, {"dims": (4,)}, {"preset": "paper/ml-1m_clean"}])
def test_a_budget_is_refused_where_there_is_nothing_to_choose(named: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="budget is the time for choosing a variant, got '5s' where a variant"):
        diffrec.fit(walks(), budget="5s", **named)


@pytest.mark.parametrize("budget", ["10min", 600, 600.0, datetime.timedelta(minutes=10)])
def test_the_usual_budget_may_be_said_in_any_way(budget: Any) -> None:
    assert diffrec.fit(walks(), variant="popularity", budget=budget).variant == "popularity"


def stopping_after(writings: int, patch: pytest.MonkeyPatch) -> None:
    """Interrupt a process once a checkpoint was written so often."""
    keep, left = Checkpoint.keep, [writings]

    def keep_and_stop(self: Checkpoint, *arguments: Any, **named: Any) -> None:
        keep(self, *arguments, **named)
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    patch.setattr(Checkpoint, "keep", keep_and_stop)


def test_a_choice_that_stops_goes_on_and_hands_out_the_same(tmp_path: Path) -> None:
    data, path = walks(users=80, length=8, items=20), tmp_path / "choice"
    whole = diffrec.fit(data, progress=False, budget=None)
    tried: list[str] = []
    try_out = Search.try_out
    stops = 0
    while True:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Search, "try_out", lambda s, one: (tried.append(str(one)), try_out(s, one))[1])
            stopping_after(9, patch)
            try:
                model = diffrec.fit(data, progress=False, budget=None, checkpoint=path)
                break
            except KeyboardInterrupt as interruption:
                stops += 1
                partial = interruption.partial  # type: ignore[attr-defined]
    assert stops > 5
    # The last run took all candidates back, and offers the best of those that an earlier one trained.
    assert partial.recommend(k=3).items.shape == (80, 3)
    assert len(tried) == len(set(tried))
    np.testing.assert_array_equal(model.score(), whole.score())
    assert repr(model) == repr(whole)
    assert candidates(model) == candidates(whole)
    assert model.training_.facts["chosen"] == whole.training_.facts["chosen"]
    assert [file.name for file in tmp_path.iterdir()] == ["choice"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(choose, "table", lambda *_: pytest.fail("it is chosen anew"))
        (tmp_path / "choice.step-0123456789ab").touch()  # left by one that was killed when all was done
        again = diffrec.fit(data, progress=False, budget=None, checkpoint=path)
    np.testing.assert_array_equal(again.score(), whole.score())
    assert again.training_.facts == model.training_.facts
    assert [file.name for file in tmp_path.iterdir()] == ["choice"]
    with pytest.raises(diffrec.CheckpointError, match="of repeats='exclude', and this is repeats='include'"):
        diffrec.fit(data, progress=False, budget=None, checkpoint=path, repeats="include")


def test_a_budget_is_that_of_all_runs_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, path = walks(users=80, length=8, items=20), tmp_path / "choice"
    searches: list[Search] = []

    def noted(*arguments: Any) -> Search:
        searches.append(Search(*arguments))
        return searches[-1]

    now, try_out = 0.0, Search.try_out

    def waiting(search: Search, candidate: Candidate) -> None:
        nonlocal now
        now += 1
        try_out(search, candidate)

    monkeypatch.setattr(choose, "Search", noted)
    monkeypatch.setattr("diffrec.recommenders.auto.search.time.perf_counter", lambda: now)
    monkeypatch.setattr(Search, "try_out", waiting)
    with pytest.MonkeyPatch.context() as patch:
        stopping_after(8, patch)
        with pytest.raises(KeyboardInterrupt):
            diffrec.fit(data, progress=False, budget="30s", checkpoint=path)
    spent = now
    now = begun = 1000.0
    diffrec.fit(data, progress=False, budget="30s", checkpoint=path)
    first, second = (search.deadline for search in searches)
    assert spent >= 7
    # What candidates took is gone, and nothing between the runs.
    assert (first, second) == (30, begun + 30 - spent)


def test_dislikes_are_neither_ranked_nor_relevant_on_the_table() -> None:
    user, item = np.divmod(np.arange(60 * 8), 8)
    value = np.where((item == 0) & (user % 2 == 0), -1.0, 1.0)
    learn = diffrec.Interactions.from_arrays(user, item, value=value, negatives="dislike", items=np.arange(20))
    users = np.arange(60)
    valid = diffrec.Interactions.from_arrays(users, users % 12 * (users % 3 > 0), items=np.arange(20))
    search = Search(learn, valid, NAMED)
    search.try_out(Candidate("popularity", {}))
    model = diffrec.fit(learn, variant="popularity")
    assert search.best.value == pytest.approx(model.evaluate(valid, k=20)["ndcg@20"])


def test_it_says_that_what_is_taken_again_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose, "_train_denoisers", lambda *_: None)
    user, visit = np.divmod(np.arange(60 * 10), 10)
    data = Interactions.from_arrays(user, (user + visit // 2) % 20, timestamp=visit)

    def told(**named: Any) -> str:
        return str(diffrec.fit(data, progress=False, **named).training_.facts["chosen"])

    assert "50% of the events are of something the user had before, which is not recommended" in told()
    assert "of the events" not in told(repeats="include")


def test_times_are_told_as_people_write_them() -> None:
    candidate = Candidate("popularity", {"half_life": datetime.timedelta(seconds=305_166.22)})
    assert str(candidate) == "popularity(half_life=timedelta(days=3.532))"
