"""Users who walk round a circle of items, one step at a time: only the order says where they go next."""

import numpy as np

from diffrec import Interactions, Recommender

ITEMS = 24


def walks(users: int = 80, length: int = 8, *, seed: int = 0) -> Interactions:
    """Walks that begin anywhere, an item each minute."""
    user, step = np.divmod(np.arange(users * length), length)
    item = (np.random.default_rng(seed).integers(ITEMS, size=users)[user] + step) % ITEMS
    return Interactions.from_arrays(user, item, timestamp=60.0 * step, items=np.arange(ITEMS))


def share_of_next(model: Recommender, data: Interactions) -> float:
    """How often the first recommendation is the next item on the circle."""
    users = data.shape[0]
    assert data.timestamps is not None
    newest = data.timestamps.reshape(users, -1).argmax(axis=1)
    last = data.matrix.indices.reshape(users, -1)[np.arange(users), newest]
    return float((model.recommend(k=1).items[:, 0] == (last + 1) % ITEMS).mean())
