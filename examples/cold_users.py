"""Recommend to people the model never saw, and measure how well that goes.

python examples/cold_users.py [FILE]
"""

import sys

import numpy as np

import diffrec


def main(path: str | None = None) -> None:
    """Fit on four fifths of the people, and find hidden parts of the others' histories."""
    data = diffrec.datasets.synthetic(users=300, items=200) if path is None else diffrec.Interactions.read(path)
    order = np.random.default_rng(0).permutation(data.shape[0])
    known, strangers = np.split(order, [len(order) * 4 // 5])

    model = diffrec.fit(data.take(known), variant="diffrec", dims=(100,), epochs=20, anchor=True)
    baseline = diffrec.fit(data.take(known), variant="popularity")
    hidden = diffrec.Scorer("ndcg@20", hidden=0.2)
    for name, one in {"DiffRec": model, "popularity": baseline}.items():
        print(f"{name:12} {hidden.metric} of {len(strangers)} strangers: {hidden(one, data.take(strangers)):.4f}")

    one_of_them = data.take(strangers[:1])
    print(f"{one_of_them.users.ids[0]} gets", ", ".join(map(str, model.recommend(one_of_them, k=3).items[0])))


if __name__ == "__main__":
    main(*sys.argv[1:2])
