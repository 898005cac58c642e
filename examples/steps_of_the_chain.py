"""Watch one user's list form, step by step of the reverse chain.

python examples/steps_of_the_chain.py [FILE]
"""

import sys

import diffrec


def main(path: str | None = None, user: int = 0, k: int = 5) -> None:
    """Fit DiffRec and print the best items at each step; a star marks one that the step before did not have."""
    data = diffrec.datasets.synthetic(users=300, items=200) if path is None else diffrec.Interactions.read(path)
    model = diffrec.fit(data, variant="diffrec", dims=(100,), steps=10, noise_scale=0.5, epochs=20)
    who = data.users.ids[user]
    before: set[object] = set()
    for step, items in zip(range(10, 0, -1), model.reverse_steps(who, k=k).items.tolist(), strict=True):
        print(f"t = {step:2}  " + ", ".join(f"{'' if item in before or not before else '*'}{item}" for item in items))
        before = set(items)
    print(model.explain(who, items[0], k=3))


if __name__ == "__main__":
    main(*sys.argv[1:2])
