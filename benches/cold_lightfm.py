"""LightFM's hybrid for items that nobody has touched: ``benches/cold_items.py`` runs it in LightFM's own environment.

    python cold_lightfm.py FOLDER '{"no_components": 64, "epochs": 30}'

``FOLDER`` holds ``train.npz``, users x known items, ``known.npz`` and ``new.npz``, items x features, and ``users.npy``,
rows of those who are asked about; ``lists.npy`` with their best 20 of the new items is written there. An item is the
sum of its own embedding and of its features', so a new one has its features' alone.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from lightfm import LightFM
from scipy import sparse

K = 20


def main() -> None:
    """Fit, rank, and print the seconds."""
    folder, settings = Path(sys.argv[1]), json.loads(sys.argv[2])
    train, known, new = (sparse.load_npz(folder / f"{name}.npz") for name in ("train", "known", "new"))
    users = np.load(folder / "users.npy")
    n = known.shape[0]
    own: Any = sparse.vstack([sparse.eye_array(n), sparse.csr_array((new.shape[0], n))])
    features = sparse.csr_matrix(sparse.hstack([own, sparse.vstack([known, new])]), dtype=np.float32)
    # LightFM reads indices of 32 bits.
    features.indices, features.indptr = features.indices.astype(np.int32), features.indptr.astype(np.int32)
    user, item = (train > 0).nonzero()
    ones = np.ones(len(user), dtype=np.float32)
    taken = sparse.coo_matrix(
        (ones, (user.astype(np.int32), item.astype(np.int32))), shape=(train.shape[0], features.shape[0])
    )
    started = time.perf_counter()
    epochs = settings.pop("epochs")
    model = LightFM(loss="warp", random_state=0, **settings)
    model.fit(taken, item_features=features, epochs=epochs, num_threads=1)
    bias, vectors = model.get_item_representations(features[n:])
    scores = model.user_embeddings[users] @ vectors.T + bias
    np.save(folder / "lists.npy", np.argsort(-scores, axis=1)[:, :K].astype(np.int32))
    print(time.perf_counter() - started)


if __name__ == "__main__":
    main()
