"""What `import diffrec` brings with it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import diffrec
import diffrec.ranking
import diffrec.recommenders
import diffrec.training

OPTIONAL = (
    "pandas", "polars", "pyarrow", "duckdb", "pooch", "matplotlib", "sklearn", "implicit", "torch._dynamo", "optuna",
    "tensorboard", "onnx", "onnxscript", "onnxruntime", "torch.utils.tensorboard", "mlflow", "wandb", "typer",
)  # fmt: skip


def test_no_extra_is_imported() -> None:
    assert loaded("import diffrec; [getattr(diffrec, name) for name in diffrec.__all__]", *OPTIONAL) == []


def loaded(code: str, *names: str, cwd: Path | None = None) -> list[str]:
    """Which of the modules a fresh process has imported after this code."""
    ending = f"\nimport sys; print('\\n', [name for name in {names} if name in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code + ending], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, done.stderr
    found: list[str] = ast.literal_eval(done.stderr.splitlines()[-1].strip())
    return found


def test_the_package_itself_waits_for_nothing() -> None:
    assert loaded("import diffrec; diffrec.__version__", "torch", "scipy", "numpy", "narwhals") == []
    assert loaded("import diffrec; diffrec.Interactions", "torch") == []


def test_help_is_there_at_once() -> None:
    code = """
import sys, diffrec.cli
for command in {commands}:
    sys.argv = ["diffrec", *command, "--help"]
    try:
        diffrec.cli.main()
    except SystemExit:
        assert "torch" not in sys.modules, command
"""
    assert loaded(code.format(commands=[[]]), "torch", "scipy", "numpy", "narwhals") == []
    commands = [[name] for name in ("fit", "recommend", "evaluate", "split", "compare", "info")]
    assert loaded(code.format(commands=commands), "torch") == []


def test_what_has_no_network_needs_no_torch(tmp_path: Path) -> None:
    code = """
import sys
import numpy as np
import diffrec
data = diffrec.datasets.synthetic(users=60, items=40, seed=1)
data.write("events.csv")
train, valid, test = diffrec.Interactions.read("events.csv").split(valid=0.1, test=0.2)
for variant in ("ease", "itemknn", "rp3beta", "ials", "popularity", "topfreq", "tifuknn"):
    model = diffrec.fit(train, valid=valid, variant=variant, progress=False)
    top = model.recommend(k=5)
    some = model.recommend(candidates={train.users.ids[1]: train.items.ids[:9]}, k=3, deny=train.items.ids[:2])
    strangers = model.recommend(train.take([3, 4]), k=3)
    nobody = model.recommend(["nobody"], k=3, unknown="popular")
    scores = model.score([1, 2], items=train.items.ids[:3])
    model.explain(1, train.items.ids[0])
    if variant not in ("popularity", "topfreq", "tifuknn"):
        model.similar_items(train.items.ids[:2], 3)
    report = model.evaluate(test, seen=valid)
    assert 0 < report["recall@20"] <= 1
    top.to_frame()
    model.save("model.diffrec")
    again = diffrec.load("model.diffrec")
    np.testing.assert_array_equal(again.recommend(k=5).items, top.items)
    assert "torch" not in sys.modules, variant
"""
    assert loaded(code, "torch", cwd=tmp_path) == []


def test_what_torch_is_asked_for_it_gives(tmp_path: Path) -> None:
    code = """
import diffrec
model = diffrec.fit(diffrec.datasets.synthetic(users=60, items=40, seed=1), variant="ease")
assert (model.score([1, 2, 1], as_tensor=True).numpy() == model.score([1, 2, 1])).all()
"""
    assert loaded(code, "torch") == ["torch"]


def test_every_public_name_is_found_and_listed() -> None:
    for package in (diffrec, diffrec.recommenders, diffrec.ranking, diffrec.training):
        assert set(package.__all__) <= set(dir(package))
        for name in package.__all__:
            assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="module 'diffrec' has no attribute 'fti'"):
        diffrec.fti  # noqa: B018


def test_the_version_is_the_packages() -> None:
    import importlib.metadata

    assert diffrec.__version__ == importlib.metadata.version("diffrec")


def test_what_windows_does_not_have_is_not_needed(tmp_path: Path) -> None:
    code = """
import signal, sys
sys.modules["fcntl"] = sys.modules["resource"] = None
del signal.SIGHUP
import numpy as np
import diffrec
from diffrec.serving import Server
diffrec.fit(1 - np.eye(3), variant="ease").save("model.diffrec")
diffrec.load("model.diffrec").save("model.diffrec")
"""
    loaded(code, cwd=tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.diffrec"]
