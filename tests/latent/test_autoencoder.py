"""Groups and the autoencoder over them, against dense formulas."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffrec.data.sparse_rows import SparseRows
from diffrec.latent import Encoded, GroupAutoencoder, ItemGroups, shared_widths
from diffrec.latent.autoencoder import multinomial_loss


def random_groups(items: int, groups: int, seed: int) -> ItemGroups:
    generator = torch.Generator().manual_seed(seed)
    of_item = torch.cat([torch.arange(groups), torch.randint(groups, (items - groups,), generator=generator)])
    return ItemGroups(of_item[torch.randperm(items, generator=generator)])


@given(st.integers(1, 5), st.integers(0, 20), st.integers(0, 1000))
def test_the_order_is_group_by_group(groups: int, more: int, seed: int) -> None:
    partition = random_groups(groups + more, groups, seed)
    ordered = partition.of_item[partition.order]
    assert torch.equal(ordered, ordered.sort().values)
    torch.testing.assert_close(partition.order[partition.position], torch.arange(groups + more))
    for _, run in itertools.groupby(partition.order.tolist(), key=lambda i: int(partition.of_item[i])):
        run = list(run)
        assert run == sorted(run)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(6, 400))
def test_widths_are_shared_out_whole(sizes: list[int], width: int) -> None:
    widths = shared_widths(sizes, width)
    assert sum(widths) == width
    assert min(widths) >= 1
    for got, size in list(zip(widths, sizes, strict=True))[:-1]:
        assert got == max(1, int(size * width / sum(sizes)))


def test_a_width_too_small_for_its_groups() -> None:
    with pytest.raises(ValueError, match="a width of 2 cannot be shared by 3 groups"):
        shared_widths((1, 1, 1), 2)


@given(
    groups=st.integers(1, 3),
    latent_dims=st.sampled_from([(6,), (5, 9)]),
    decoder_dims=st.sampled_from([(), (7,), (5, 8)]),
    seed=st.integers(0, 1000),
)
def test_it_is_the_dense_network(
    groups: int, latent_dims: tuple[int, ...], decoder_dims: tuple[int, ...], seed: int
) -> None:
    torch.manual_seed(seed)
    items = 13
    partition = random_groups(items, groups, seed)
    model = GroupAutoencoder(partition, latent_dims, decoder_dims)
    for bias in (*model.bias_in, *model.bias_out):
        torch.nn.init.normal_(bias)
    x = torch.where(torch.rand(4, items) < 0.4, torch.rand(4, items), 0.0)
    x[0] = 0

    mu, logvar = [], []
    for g in range(groups):
        h = torch.tanh(x[:, partition.of_item == g] @ model.items_in[g] + model.bias_in[g])
        for layer in model.encoder_inner[g]:  # type: ignore[union-attr]
            h = torch.tanh(layer(h))
        mu.append(h[:, : h.shape[1] // 2])
        logvar.append(h[:, h.shape[1] // 2 :])
    encoded = model.encode(SparseRows.from_dense(x))
    torch.testing.assert_close(encoded.mu, torch.cat(mu, 1))
    torch.testing.assert_close(encoded.logvar, torch.cat(logvar, 1))
    assert encoded.mu.shape == (4, latent_dims[0]) == (4, model.latent_width)

    scores = model.decode(encoded.mu)[:, partition.position]
    matrix, bias = model.item_matrix()
    torch.testing.assert_close(model.user_vectors(encoded.mu) @ matrix.T + bias, scores, atol=1e-5, rtol=1e-5)
    likelihood = -(torch.log_softmax(scores, 1) * x).sum(1).mean()
    torch.testing.assert_close(model.reconstruction_loss(encoded.mu, SparseRows.from_dense(x)), likelihood)


def test_a_decoder_per_group_sees_only_its_latents() -> None:
    partition = ItemGroups(torch.tensor([0, 1, 0, 1]))
    model = GroupAutoencoder(partition, (4,), (6,))
    latent = torch.randn(1, 4)
    moved = latent.clone()
    moved[:, 2:] += 1
    before, after = model.decode(latent), model.decode(moved)
    torch.testing.assert_close(before[:, :2], after[:, :2])
    assert not torch.allclose(before[:, 2:], after[:, 2:])


def test_kl_is_that_of_two_normals() -> None:
    mu, logvar = torch.randn(3, 5), torch.randn(3, 5)
    q = torch.distributions.Normal(mu, (0.5 * logvar).exp())
    expected = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()
    torch.testing.assert_close(Encoded(mu, logvar).kl(), expected)


def test_samples_have_the_encoded_mean_and_variance() -> None:
    torch.manual_seed(0)
    encoded = Encoded(torch.full((200_000, 1), 2.0), torch.full((200_000, 1), np.log(0.25)))
    drawn = encoded.sample()
    assert float(drawn.mean()) == pytest.approx(2, abs=0.01)
    assert float(drawn.std()) == pytest.approx(0.5, abs=0.01)


def test_every_weight_learns() -> None:
    model = GroupAutoencoder(ItemGroups(torch.tensor([0, 1, 0, 1, 2, 2])), (6, 9), (7,))
    rows = SparseRows.from_dense((torch.rand(5, 6) < 0.6).float())
    encoded = model.encode(rows)
    (model.reconstruction_loss(encoded.sample(), rows) + encoded.kl()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


def test_the_likelihood_is_summed_in_single_precision_whatever_the_scores_are() -> None:
    scores = (3 * torch.randn(4, 500)).bfloat16()
    rows = SparseRows.from_dense((torch.rand(4, 500) < 0.2).float())
    found = multinomial_loss(scores, rows)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, multinomial_loss(scores.float(), rows), rtol=0, atol=0)
    with torch.autocast("cpu", torch.bfloat16):
        assert multinomial_loss(scores, rows) == found
