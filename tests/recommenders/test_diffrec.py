"""DiffRec and its forms beyond the interface all recommenders share."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn
import torch
from scipy import sparse

import diffrec
from diffrec import DiffRec, Interactions
from diffrec.data import Timeline, time_weights
from diffrec.diffusion import Denoiser, GaussianProcess, noise_betas
from diffrec.recommenders.diffrec import over_items
from diffrec.recommenders.diffrec.groups import group_items, svd_embeddings
from diffrec.recommenders.diffrec.objective import objective_of
from diffrec.recommenders.diffrec.over_items import OverItems
from diffrec.recommenders.diffrec.settings import DiffRecSettings
from diffrec.recommenders.histories import Reading
from diffrec.training import CutBatches, NoisedBatches

SMALL: dict[str, Any] = {"dims": (6,), "epochs": 3, "batch_size": 8, "holdout": 0, "progress": False}
LATENT: dict[str, Any] = SMALL | {"groups": 2, "latent_dims": (4,)}


def some_interactions(users: int = 30, items: int = 14, seed: int = 0) -> Interactions:
    rng = np.random.default_rng(seed)
    taken = rng.random((users, items)) < 0.4
    taken[np.arange(users), rng.integers(items, size=users)] = True
    user, item = np.nonzero(taken)
    return Interactions.from_arrays(
        user, item, timestamp=rng.permutation(len(user)), users=np.arange(users), items=np.arange(items)
    )


DATA = some_interactions()


def dense_chain(model: DiffRec, x0: np.ndarray) -> np.ndarray:
    """Scores by the paper's procedure, from the weights of a fitted model."""
    s = model.settings
    state = model._state()
    denoiser = Denoiser(x0.shape[1], s.dims, s.time_embedding, normalize=s.normalize).eval()
    denoiser.load_state_dict({k.removeprefix("denoiser."): v for k, v in state.items()})
    betas = noise_betas(s.noise_schedule, s.steps, s.noise_scale, s.noise_min, s.noise_max)
    with torch.no_grad():
        return GaussianProcess(betas, s.predict).reverse(denoiser, torch.from_numpy(x0)).numpy()  # type: ignore[arg-type]


@pytest.mark.parametrize("predict", ["x0", "eps"])
@pytest.mark.parametrize("normalize", [False, True])
def test_scores_are_those_of_the_dense_chain(predict: str, normalize: bool) -> None:
    model = DiffRec(**SMALL, predict=predict, normalize=normalize, steps=7, noise_scale=0.5).fit(DATA)
    expected = dense_chain(model, np.ceil(DATA.matrix.toarray()))
    np.testing.assert_allclose(model.score(), expected, atol=1e-5, rtol=1e-4)
    top = model.recommend(k=3, exclude_seen=False)
    np.testing.assert_allclose(top.scores, -np.sort(-expected, axis=1)[:, :3], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["linear", "exponential", "power"])
def test_t_diffrec_is_diffrec_on_time_weighted_histories(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    by_age: dict[str, Any] = {"w_min": 0.2, "w_max": 0.9, **({} if kind == "linear" else {"half_life": 2.0})}
    weighted = time_weights(DATA, kind, **by_age)  # type: ignore[arg-type]
    timely = diffrec.fit(DATA, variant="t-diffrec", time_weights=kind, **by_age, **SMALL).score()
    # The same network, handed the weights as they are.
    monkeypatch.setattr(Reading, "weights", lambda _, block: block.matrix)
    by_weight = DiffRec(**SMALL).fit(weighted)
    np.testing.assert_allclose(timely, by_weight.score(weighted), atol=1e-6)


CONFIDENT = {
    "x0": {},
    "x0, bfloat16": {"precision": "bfloat16"},
    "eps": {"predict": "eps", "noise_scale": 0.5},
    "time weights": {"time_weights": "linear"},
    "latent": {"groups": 2, "latent_dims": (4,)},
    "forecast": {"objective": "forecast", "horizon": 3},
    "forecast over latents": {"objective": "forecast", "groups": 2, "latent_dims": (4,)},
}


@pytest.mark.parametrize("form", CONFIDENT)
def test_values_count_only_where_asked(form: str) -> None:
    settings = SMALL | CONFIDENT[form]
    values = np.random.default_rng(0).integers(1, 6, len(DATA)).astype(np.float32)
    rated, ones = DATA.matrix.copy(), DATA.matrix.copy()
    rated.data, ones.data = values, np.ones_like(values)
    rated, ones = Interactions.from_csr(rated, DATA.timestamps), Interactions.from_csr(ones, DATA.timestamps)
    plain = DiffRec(**settings).fit(ones)
    np.testing.assert_array_equal(DiffRec(**settings).fit(rated).score(), plain.score())
    # An interaction of value 1 is trusted as it is by default.
    trusted = DiffRec(**settings, binarize=False).fit(ones)
    np.testing.assert_allclose(trusted.score(), plain.score(), atol=1e-5)
    weighed = DiffRec(**settings, binarize=False).fit(rated)
    assert not np.allclose(weighed.score(), plain.score(), atol=1e-3)
    # What is read of a history is the same, whatever the values.
    np.testing.assert_array_equal(weighed.score(rated), weighed.score(ones))


@pytest.mark.parametrize("predict", ["x0", "eps"])
@pytest.mark.parametrize("gram", [False, True])
def test_confidence_weighs_the_loss(predict: str, gram: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mean over the items of c (x_0 - predicted)^2, c being the value of an interaction and 1 elsewhere."""
    monkeypatch.setattr(over_items, "gram_pays", lambda *_: gram)
    cpu, dense = torch.device("cpu"), np.ceil(DATA.matrix.toarray())
    values = np.random.default_rng(1).uniform(0.2, 5, len(DATA)).astype(np.float32)
    rated = Interactions.from_csr(sparse.csr_array((values, DATA.matrix.indices, DATA.matrix.indptr), DATA.shape))
    s = DiffRecSettings(**SMALL | {"dropout": 0.0}, predict=predict, step_sampling="uniform", binarize=False)
    objective = objective_of(s)
    torch.manual_seed(0)
    network = over_items.OverItems.of(s, DATA.shape[1], cpu)
    batch = next(iter(network.epoch_of(objective.batches(objective.inputs(rated), cpu))))
    seen: list[torch.Tensor] = []
    sample = network.sampler.sample
    monkeypatch.setattr(network.sampler, "sample", lambda n: seen.append(sample(n)) or seen[0])
    loss = network.loss(batch)
    loss.backward()
    found = {name: p.grad.clone() for name, p in network.named_parameters()}
    network.zero_grad()
    t, probability = seen[0]
    rows = batch._rows
    x0, c = (
        torch.from_numpy(dense[rows]).float(),
        torch.from_numpy(np.where(dense > 0, rated.matrix.toarray(), 1)[rows]),
    )
    signal, spread = network.process.forward_coefficients(t)
    noise = -torch.zeros_like(x0)
    batch.subtract_noise(0, noise)
    output = network.denoiser(signal[:, None] * x0 - spread[:, None] * noise, t)
    errors = (c * (((x0 if predict == "x0" else -noise) - output) ** 2)).mean(dim=1)
    expected = (network.process.loss_weights[t] * errors / probability).mean()
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-4)
    expected.backward()
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, atol=1e-5, rtol=1e-3)


def test_a_forecast_shares_its_target_by_value() -> None:
    data = Interactions.from_arrays([0] * 3, [0, 1, 2], [1, 2, 2], [9, 1, 3])
    batches = CutBatches(Timeline(data), [None], horizon=5, cuts=1, batch_size=1, device="cpu", seed=0, by_value=True)
    (batch,) = batches
    assert batch.after.to_dense(3).tolist() == [[0, 0.25, 0.75]]


@pytest.mark.parametrize("form", [{}, {"predict": "eps"}, {"groups": 2, "latent_dims": (4,)}], ids=str)
def test_a_users_noise_is_the_same_whoever_else_is_asked(form: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    noise = {"noise_scale": 0.5, "noise_max": 0.5, "forward_steps": 3, "sampling_noise": True}
    model = DiffRec(**SMALL, **noise, **form).fit(DATA)
    together = model.recommend(k=5, exclude_seen=False)
    for asked in ([4], [9, 4, 17], list(range(29, 2, -1))):
        some = model.recommend(asked, k=5, exclude_seen=False)
        np.testing.assert_array_equal(some.items, together.items[asked])
        np.testing.assert_allclose(some.scores, together.scores[asked], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(
        model.recommend(DATA.take([8, 3]), k=5, exclude_seen=False).items, together.items[[8, 3]]
    )
    monkeypatch.setattr("diffrec.recommenders.rankings.USER_BLOCK", 7)
    np.testing.assert_array_equal(model.recommend(k=5, exclude_seen=False).items, together.items)


def test_noise_at_inference_is_drawn_from_the_seed() -> None:
    plain = DiffRec(**SMALL, noise_scale=0.5, noise_max=0.5).fit(DATA)
    for noisy in ({"forward_steps": 3}, {"sampling_noise": True}):
        one, same, other = (
            DiffRec(**SMALL, noise_scale=0.5, noise_max=0.5, seed=seed, **noisy).fit(DATA) for seed in (0, 0, 1)
        )
        np.testing.assert_array_equal(one.score(), same.score())
        np.testing.assert_array_equal(one.score(), one.score())
        assert not np.allclose(one.score(), other.score())
        assert not np.array_equal(one.score(), plain.score())


@pytest.mark.parametrize(
    "settings",
    [
        {"step_sampling": "uniform"},
        {"reweight": False},
        {"predict": "eps", "reweight": False, "noise_scale": 10},
        {"precision": "bfloat16"},
        {"noise_scale": 0},
        {"steps": 1},
        {"dims": (3, 6)},
        {"dropout": 0},
        {"noise_schedule": "cosine"},
        {"noise_schedule": "binomial"},
        {"variant": "l-diffrec", "groups": 2, "latent_dims": (4,)},
        {"variant": "l-diffrec", "groups": 1, "latent_dims": (4, 8), "reweight": False},
        {"variant": "lt-diffrec", "groups": 3, "latent_dims": (6,), "decoder_dims": (8,)},
        {"variant": "l-diffrec", "groups": 2, "latent_dims": (4,), "forward_steps": 2, "sampling_noise": True},
        {
            "variant": "l-diffrec",
            "groups": 2,
            "latent_dims": (4,),
            "kl_anneal_batches": 0,
            "diffusion_anneal_epochs": 0,
        },
    ],
)
def test_every_setting_learns(settings: dict[str, Any]) -> None:
    rates = {"lr": 1e-2, **({"autoencoder_lr": 1e-2} if "groups" in settings else {})}
    model = diffrec.fit(DATA, **(SMALL | {"epochs": 30} | rates | settings))
    losses = [epoch.loss for epoch in model.training_.epochs]
    assert np.mean(losses[-5:]) < np.mean(losses[:2])
    assert np.isfinite(model.score()).all()


def test_without_valid_a_share_is_held_out_to_stop_on() -> None:
    model = DiffRec(**(SMALL | {"holdout": 0.2, "epochs": 40, "validate_every": 2, "patience": 4})).fit(DATA)
    assert model.training_.metric == "recall@20"
    assert len(model.training_.epochs) < 40
    assert model.train_ is DATA  # it recommends from whole histories all the same
    timely = DiffRec(**SMALL, time_weights="linear")
    learn, held_out = DiffRec(**(SMALL | {"holdout": 0.2}), time_weights="linear")._held_out(DATA, None)
    assert held_out is not None
    for u in range(5):
        a, b = learn.take([u]).timestamps, held_out.take([u]).timestamps
        assert a is not None
        assert b is not None
        assert not len(b) or b.min() > a.max()
    assert timely._held_out(DATA, None) == (DATA, None)


def test_a_preset_yields_to_named_settings() -> None:
    model = diffrec.fit(DATA, preset="paper/ml-1m_clean", dims=(4,), epochs=1, batch_size=8, holdout=0, progress=False)
    assert isinstance(model, DiffRec)
    assert (model.settings.steps, model.settings.noise_max, model.settings.dims) == (40, 0.01, (4,))
    assert model.settings.batch_size == 8


def test_it_is_an_estimator() -> None:
    model = DiffRec(**SMALL, steps=3)
    copied = sklearn.base.clone(model)
    assert copied is not model
    assert copied.settings == model.settings
    assert copied.get_params()["steps"] == 3
    assert "steps=3" in repr(model)
    assert "callbacks" not in repr(model)


# -- the latent forms ---------------------------------------------------------------------------------------------


def test_given_embeddings_decide_the_groups(tmp_path: Path) -> None:
    halves = np.repeat([[0.0, 1.0], [5.0, 0.0]], 7, axis=0)
    model = diffrec.fit(DATA, variant="l-diffrec", item_embeddings=halves, **LATENT)
    groups = model._state()["autoencoder.group_of_item"].numpy()
    assert len(set(groups[:7])) == len(set(groups[7:])) == 1
    assert groups[0] != groups[-1]
    assert model.training_.facts["item_embeddings"] == "given"
    model.save(tmp_path / "l")
    again = diffrec.load(tmp_path / "l")
    assert again.training_.facts == model.training_.facts
    np.testing.assert_array_equal(again._state()["autoencoder.group_of_item"].numpy(), groups)
    np.testing.assert_array_equal(again.score(), model.score())


def test_embeddings_are_learnt_when_none_are_given() -> None:
    assert diffrec.fit(DATA, variant="l-diffrec", **LATENT).training_.facts["item_embeddings"] == "svd"
    named = diffrec.fit(DATA, variant="l-diffrec", item_embeddings="lightgcn", **LATENT)
    assert named.training_.facts["item_embeddings"] == "lightgcn"


def test_svd_embeddings_are_the_normalised_matrix_compressed() -> None:
    dense = DATA.matrix.toarray()
    normalised = dense / np.sqrt(dense.sum(1, keepdims=True) * dense.sum(0, keepdims=True))
    found = svd_embeddings(DATA, width=13)
    _, singular, right = np.linalg.svd(normalised, full_matrices=False)
    expected = right[:13].T * singular[:13]
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-5)
    assert svd_embeddings(Interactions.from_csr(np.ones((1, 3)))).shape == (3, 1)


def test_items_nobody_touched_have_a_group_too() -> None:
    data = Interactions.from_arrays([0, 1, 2, 0], [0, 1, 2, 3], items=np.arange(9))
    assert group_items(data, 3, None, seed=0).shape == (9,)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"groups": 15}, "groups must be at most the number of items, 14, got 15"),
        ({"groups": 0}, "groups must be at least 1, got 0"),
        ({"item_embeddings": np.ones((3, 2))}, r"item_embeddings must have a row per item, 14, got shape \(3, 2\)"),
        ({"item_embeddings": np.full((14, 2), np.nan)}, "item_embeddings must be finite, got nan"),
        ({"item_embeddings": np.ones(14)}, "item_embeddings must be numbers of shape"),
        ({"item_embeddings": "svt"}, "did you mean 'svd'"),
        ({"latent_dims": (1,)}, "a width of 1 cannot be shared by 2 groups .* latent_dims .* wider, or groups fewer"),
        ({"kl_weight": -1}, "kl_weight must be at least 0, got -1"),
    ],
)
def test_impossible_latent_settings(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        diffrec.fit(DATA, variant="l-diffrec", **(LATENT | settings))


def test_the_two_weights_are_annealed_as_the_paper_does() -> None:
    model = DiffRec(**LATENT, diffusion_weight=0.04, diffusion_weight_min=0.01, diffusion_anneal_epochs=10).fit(DATA)
    latent = model._network
    weights = []
    for epoch in range(1, 14):
        latent.epoch_of([], epoch)
        weights.append(latent.diffusion_weight())  # type: ignore[union-attr]
    np.testing.assert_allclose(weights, np.maximum(0.04 * (1 - np.arange(13) / 10), 0.01))


def test_latent_forms_are_smaller() -> None:
    data = some_interactions(users=20, items=400)
    settings: dict[str, Any] = {"epochs": 1, "holdout": 0, "progress": False}
    plain = diffrec.fit(data, dims=(100,), **settings).training_.facts["parameters"]
    latent = diffrec.fit(data, variant="l-diffrec", dims=(30,), latent_dims=(30,), **settings)
    assert int(latent.training_.facts["parameters"]) < 0.5 * int(plain)


def test_no_group_outgrows_its_balance() -> None:
    lopsided = np.zeros((14, 1))
    lopsided[0] = 9
    sizes = [
        np.bincount(group_items(DATA, 2, lopsided, balance=balance, seed=0)).tolist() for balance in (None, 1.0, 1.5)
    ]
    assert sorted(sizes[0]) == [1, 13]
    assert sizes[1] == [7, 7]
    assert max(sizes[2]) <= 10


@pytest.mark.parametrize("batch_size", [3, 30])  # of 8 hidden units: fewer than Gram matrices need to pay, and more
@pytest.mark.parametrize("reweight", [True, False])
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("predict", ["x0", "eps"])
def test_training_takes_the_loss_and_gradients_of_dense_rows(
    predict: str, normalize: bool, reweight: bool, batch_size: int
) -> None:
    settings = DiffRec(
        dims=(8,), predict=predict, normalize=normalize, reweight=reweight, dropout=0, noise_scale=1, noise_max=0.3
    ).settings
    cpu = torch.device("cpu")
    model = OverItems.of(settings, DATA.shape[1], cpu)
    batches = NoisedBatches(DATA.matrix, batch_size, cpu, np.random.default_rng(0), seed=1)
    batch = next(batches.noised())
    t = torch.arange(len(batch)) % settings.steps
    probability = torch.linspace(0.5, 1.5, len(batch), dtype=torch.float64)
    model.sampler = FixedSteps(t, probability)
    noise = torch.zeros(len(batch), DATA.shape[1])
    batch.subtract_noise(0, noise)
    found = model.loss(batch)
    losses, _ = model.process.losses(model.denoiser, batch.x0.to_dense(DATA.shape[1]), t, -noise, reweight=reweight)
    expected = (losses / probability).mean()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(model.sampler.noted, losses.detach().double(), rtol=1e-4, atol=1e-9)
    parameters = list(model.parameters())
    wanted = torch.autograd.grad(expected, parameters)
    for one, other in zip(torch.autograd.grad(found, parameters), wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5 * float(other.abs().max()))


@pytest.mark.long
def test_bfloat16_ranks_as_well_as_float32(shared_data: Path) -> None:
    split = diffrec.Split.read(shared_data / "ml-1m_clean.npz")
    ndcg = {
        precision: np.mean(
            [
                diffrec.fit(
                    split.train, valid=split.valid, preset="paper/ml-1m_clean", precision=precision, seed=seed
                ).evaluate(split.test, seen=split.valid, k=[20])["ndcg@20"]
                for seed in (0, 1, 2)
            ]
        )
        for precision in ("bfloat16", "float32")
    }
    assert ndcg["bfloat16"] > 0.99 * ndcg["float32"]


class FixedSteps:
    """Draws the steps it was given and notes the losses it is told."""

    noted: torch.Tensor

    def __init__(self, t: torch.Tensor, scaled_probability: torch.Tensor) -> None:
        self.drawn = t, scaled_probability

    def sample(self, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.drawn

    def update(self, t: torch.Tensor, losses: torch.Tensor) -> None:
        self.noted = losses.detach().double()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"predict": "eps", "noise_scale": 1.0},
        {"noise_scale": 1.0, "forward_steps": 2, "sampling_noise": True},
        {"predict": "eps", "noise_scale": 1.0, "sampling_noise": True},
        {"anchor": True, "anchor_scale": 2.0},
        {"groups": 2, "latent_dims": (8,)},
    ],
)
def test_reverse_steps_end_in_what_is_recommended(settings: dict[str, Any]) -> None:
    data = diffrec.datasets.synthetic(users=30, items=40, seed=1)
    model = DiffRec(**{"dims": (8,), "steps": 4, "epochs": 3, "holdout": 0, "progress": False} | settings).fit(data)
    denied = [data.items[5]]
    steps, top = model.reverse_steps(4, k=6, deny=denied), model.recommend(4, k=6, deny=denied)
    assert steps.items.shape == (4, 6)
    np.testing.assert_array_equal(steps.items[-1], top.items[0])
    np.testing.assert_allclose(steps.scores[-1], top.scores[0], rtol=1e-5)
    assert not (steps.scores[0] == steps.scores[-1]).all()
    assert denied[0] not in steps.items
    assert not set(steps.item_rows.ravel()) & set(data.matrix[4:5].indices)
    assert set(steps.users) == {data.users[4]}
    scores = model.step_scores(4)
    np.testing.assert_allclose(scores[-1], model.score(4)[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(scores, steps.item_rows, axis=1), steps.scores, rtol=1e-6)


def test_a_forecast_has_no_steps_to_watch() -> None:
    data = diffrec.datasets.synthetic(users=30, items=40, seed=1)
    quick = {"dims": (8,), "epochs": 1, "holdout": 0, "progress": False}
    model = diffrec.fit(data, variant="t-diffrec", **quick)
    for ask in (model.reverse_steps, model.step_scores):  # type: ignore[attr-defined]
        with pytest.raises(TypeError, match="there is no chain to watch"):
            ask(4)
    with pytest.raises(ValueError, match="user must be one user, got 2"):
        DiffRec(**quick).fit(data).reverse_steps([1, 2])


@pytest.mark.parametrize("decoder_dims", [(), (6,)])
def test_groups_are_named_item_by_item(decoder_dims: tuple[int, ...], tmp_path: Path) -> None:
    given = np.random.default_rng(0).normal(size=(DATA.shape[1], 3))
    model = DiffRec(**LATENT, decoder_dims=decoder_dims, item_embeddings=given).fit(DATA)
    expected = group_items(DATA, 2, given, balance=model.settings.group_balance, seed=0).numpy()
    np.testing.assert_array_equal(model.item_groups_, expected)
    model.save(tmp_path / "model.diffrec")
    np.testing.assert_array_equal(diffrec.load(tmp_path / "model.diffrec").item_groups_, expected)  # type: ignore[attr-defined]


def test_without_groups_there_are_none_to_name() -> None:
    with pytest.raises(TypeError, match="has no groups of items"):
        _ = DiffRec(**SMALL).fit(DATA).item_groups_
    with pytest.raises(RuntimeError, match="not fitted"):
        _ = DiffRec(groups=2).item_groups_


def test_what_comes_before_training_takes_of_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    foresee = DiffRec._foresee

    def slowly(self: DiffRec, *arguments: Any) -> Any:
        time.sleep(0.2)
        return foresee(self, *arguments)

    monkeypatch.setattr(DiffRec, "_foresee", slowly)
    settings = SMALL | {"epochs": 10_000, "time_limit": 0.1}
    assert len(DiffRec(**settings).fit(DATA).training_.epochs) == 1
