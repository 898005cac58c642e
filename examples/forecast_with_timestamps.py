"""What the order of interactions is worth: the same data with and without their times.

python examples/forecast_with_timestamps.py [FILE]
"""

import sys

import diffrec


def main(path: str | None = None, epochs: int = 10) -> None:
    """Fit a forecast, the paper's time-aware form and a form that knows no time, and measure them on what came last."""
    data = diffrec.datasets.synthetic(users=300, items=200) if path is None else diffrec.Interactions.read(path)
    if data.timestamps is None:
        raise SystemExit(f"{path} has no timestamps that a forecast could learn from")
    train, valid, test = data.split(by="time")
    small = {"dims": (100,), "epochs": epochs}
    forms = {
        "forecast": {"variant": "t-diffrec", **small},
        "time weights": {"variant": "t-diffrec", "time_weights": "exponential", "half_life": 3.5, **small},
        "no time": {"variant": "diffrec", **small},
    }
    for name, settings in forms.items():
        report = diffrec.fit(train, valid=valid, **settings).evaluate(test, seen=valid)
        print(f"{name:14} recall@20 {report['recall@20']:.4f}  ndcg@20 {report['ndcg@20']:.4f}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
