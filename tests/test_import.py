"""What `import diffrec` brings with it."""

import subprocess
import sys

OPTIONAL = (
    "pandas", "polars", "pyarrow", "duckdb", "pooch", "matplotlib", "sklearn", "implicit", "torch._dynamo", "optuna",
    "tensorboard", "onnx", "onnxscript", "onnxruntime", "torch.utils.tensorboard", "mlflow", "wandb", "typer",
)  # fmt: skip


def test_no_extra_is_imported() -> None:
    code = f"import sys, diffrec; print([name for name in {OPTIONAL} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_version_is_the_packages() -> None:
    import importlib.metadata

    import diffrec

    assert diffrec.__version__ == importlib.metadata.version("diffrec")
