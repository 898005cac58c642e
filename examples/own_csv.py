"""From a file with columns of any names to a file of recommendations.

python examples/own_csv.py [FILE USER ITEM [TIMESTAMP]]
"""

import sys
import tempfile
from pathlib import Path

import diffrec


def main(path: str | None = None, user: str = "customer", item: str = "sku", timestamp: str | None = None) -> None:
    """Read a file by the names of its columns, fit, and write the best ten items of each user beside it."""
    if path is None:
        with tempfile.TemporaryDirectory() as folder:
            main(str(written(Path(folder))), "customer", "sku", "bought_at")
        return
    data = diffrec.Interactions.read(path, user=user, item=item, timestamp=timestamp)
    print(data)
    model = diffrec.fit(data, variant="itemknn", weighting="bm25")

    out = Path(path).with_name("recommendations.csv")
    model.recommend(k=10).to_frame().to_csv(out, index=False)
    print(f"{out.name}: {len(out.read_text().splitlines()) - 1} recommendations for {data.shape[0]} users")


def written(folder: Path) -> Path:
    """Write a file to play with."""
    world = diffrec.datasets.synthetic(users=100, items=60).matrix.tocoo()
    rows = [f"c{u},p{i},2026-01-{1 + place % 28:02}" for place, (u, i) in enumerate(zip(*world.coords, strict=True))]
    file = folder / "orders.csv"
    file.write_text("customer,sku,bought_at\n" + "\n".join(rows) + "\n")
    return file


if __name__ == "__main__":
    main(*sys.argv[1:5])
