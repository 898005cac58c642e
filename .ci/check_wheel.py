"""Check what a user would install: the wheel and the sdist in dist/, as `make check-wheel` builds them.

The wheel holds what it should and nothing else, the sdist builds one by itself, and the compiled module loads in every
CPython there is here. In two clean environments away from the checkout, one with the oldest dependencies that
pyproject.toml allows on the oldest Python, one with the newest on the newest Python here, the installed package does
its main job and passes tests. The README and the pages of the documentation run in environments of their own: with
nothing but the wheel, then with one extra after the other.

``--contents`` checks what is in every wheel of dist/, whatever it is for, and ``--module WHEEL...`` that the compiled
module of each loads in this Python, with nothing but NumPy.
"""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
VERSION = PROJECT["project"]["version"]
OLDEST = tuple(int(part) for part in PROJECT["project"]["requires-python"].removeprefix(">=").split("."))
UV = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
# What an installed package has to pass: all that meets other packages, or the compiled module.
TESTS = (
    "tests/kernels",
    "tests/data",
    "tests/ranking",
    "tests/recommenders/test_frames.py",
    "tests/recommenders/test_interface.py",
    "tests/recommenders/test_threads.py",
    "tests/plots/test_numbers.py",
    "tests/plots/test_pictures.py",
    "tests/serving",
    "tests/test_callbacks.py",
    "tests/test_import.py",
    "tests/test_readme.py",
    "tests/test_shown.py",
)
# Extras, what pages tell their readers to have besides, and the pages whose blocks run with these and nothing else.
# Of the README the first two blocks need nothing; its commands, and those of docs/command-line.md, the tests run.
PAGES: tuple[tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]], ...] = (
    ((), (), ("README.md:2", "docs/index.md", "docs/start.md:python", "docs/explain.md", "docs/gpu.md")),
    ((), (), ("docs/variants.md",)),
    (("cli",), (), ("docs/start.md",)),
    (("cli",), ("pandas", "scikit-learn"), ("README.md:python",)),
    (("cli", "parquet"), ("pandas", "polars"), ("docs/many-users.md", "docs/several-machines.md")),
    (("cli", "parquet"), (), ("docs/clusters.md",)),
    (("cli", "prepare"), (), ("docs/beyond-memory.md",)),
    (("explore", "parquet"), ("pandas",), ("docs/shop.md",)),
    (("plot",), ("pandas",), ("docs/pictures.md", "docs/guidance.md", "docs/settings.md")),
    (("serve",), (), ("docs/serving.md",)),
    (("tune",), ("scikit-learn",), ("docs/tuning.md",)),
    (("mlflow", "plot", "tensorboard", "wandb"), (), ("docs/callbacks.md",)),
    (("onnx",), ("faiss-cpu", "pyarrow"), ("docs/export.md", "docs/vectors.md")),
)
# All other pages.
OTHERS = (("cli",), ("pandas", "scikit-learn"))
# A cluster has its own; they are no part of "all".
CLUSTERS = {"ray", "spark"}
# Its lower bounds are above those of the package, so it comes last: until then the oldest are as old as they may be.
LATER_EXTRA, LATER_TESTS = (
    "onnx",
    (
        "tests/export/test_graph.py",
        "tests/export/test_files.py",
        # Every command of the README and of the help.
        "tests/cli/test_documentation.py",
    ),
)
# A module is loaded by itself: what the rest of the package imports need not be there.
LOADS = """
import importlib.util, sys
import numpy as np
spec = importlib.util.spec_from_file_location("_core", sys.argv[1])
core = importlib.util.module_from_spec(spec)
spec.loader.exec_module(core)
core.check_csr((np.array([0, 1]), np.array([0], np.int32), np.ones(1, np.float32)), (1, 1))
assert sys.argv[2] != "t" or not sys._is_gil_enabled(), "the module switched the GIL on"
"""


class Interpreter(NamedTuple):
    """A CPython found on this machine."""

    version: tuple[int, ...]
    free_threaded: bool
    path: str

    def __str__(self) -> str:
        return ".".join(map(str, self.version)) + ("t" if self.free_threaded else "")


def main() -> None:
    """Run what was asked for; the first check that fails ends it."""
    match sys.argv[1:]:
        case []:
            check_all()
        case ["--contents"]:
            for wheel in sorted((ROOT / "dist").glob(f"diffrec-{VERSION}-*.whl")):
                check_contents(wheel)
        case ["--module", *wheels]:
            for wheel in map(Path, wheels):
                with tempfile.TemporaryDirectory() as folder:
                    run(sys.executable, "-I", "-c", LOADS, module_of(wheel, Path(folder)), "")
                said(f"{wheel.name} loads in Python {platform.python_version()} on {platform.platform()}")
        case _:
            raise SystemExit(__doc__)


def check_all() -> None:
    """Check the wheel for this machine, and the sdist."""
    wheel = newest(f"diffrec-{VERSION}-cp{OLDEST[0]}{OLDEST[1]}-abi3-manylinux_*_{platform.machine()}.whl")
    sdist = newest(f"diffrec-{VERSION}.tar.gz")
    found = interpreters()
    print("interpreters:", *found)
    with tempfile.TemporaryDirectory(prefix="check-wheel-") as folder:
        away = Path(folder)
        check_contents(wheel)
        check_sdist(sdist, away / "sdist")
        for interpreter in found:
            check_module(wheel, interpreter, away / f"module-{interpreter}")
        with_gil = [interpreter for interpreter in found if not interpreter.free_threaded]
        check_installed(wheel, with_gil[0], "lowest-direct", away / "oldest")
        check_installed(wheel, with_gil[-1], "highest", away / "newest")
        for place, (extras, besides, pages) in enumerate([*PAGES, (*OTHERS, other_pages())]):
            check_pages(wheel, with_gil[-1], extras, besides, pages, away / f"pages-{place}")


def newest(pattern: str) -> Path:
    """The file of dist/ that was written last."""
    files = sorted((ROOT / "dist").glob(pattern), key=lambda file: file.stat().st_mtime)
    if not files:
        raise SystemExit(f"dist/ has no {pattern}")
    return files[-1]


def interpreters() -> list[Interpreter]:
    """Every supported CPython here, one of each minor version, oldest first."""
    homes = (Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions",)
    homes += (Path(os.environ.get("UV_PYTHON_INSTALL_DIR", Path.home() / ".local/share/uv/python")),)
    paths = [sys.executable, *(str(path) for home in homes for path in sorted(home.glob("*/bin/python3")))]
    names = [f"python{OLDEST[0]}.{minor}{kind}" for minor in range(OLDEST[1], OLDEST[1] + 20) for kind in ("", "t")]
    paths += [path for name in names if (path := shutil.which(name))]
    asked = (
        "import sys, sysconfig; print(sys.implementation.name, *sys.version_info[:3], "
        "sysconfig.get_config_var('Py_GIL_DISABLED') or 0, sys.executable)"
    )
    found: dict[tuple[tuple[int, ...], bool], Interpreter] = {}
    for path in paths:
        said = subprocess.run([path, "-I", "-c", asked], capture_output=True, text=True, check=False)
        if said.returncode == 0:
            name, *version, free_threaded, executable = said.stdout.split()
            numbers = tuple(map(int, version))
            if name == "cpython" and numbers[:2] >= OLDEST:
                found.setdefault(
                    (numbers[:2], free_threaded == "1"), Interpreter(numbers, free_threaded == "1", executable)
                )
    return [found[key] for key in sorted(found)]


def check_contents(wheel: Path) -> None:
    """The wheel is the tracked files of the package, the compiled module, and what installers need."""
    from third_party import compiled_in

    tracked = run("git", "ls-files", "diffrec", cwd=ROOT / "python").split()
    about = f"diffrec-{VERSION}.dist-info/"
    module = "_core.pyd" if "-win" in wheel.name else "_core.abi3.so"
    expected = {*tracked, f"diffrec/{module}"} | {
        about + name
        for name in (
            "METADATA",
            "RECORD",
            "WHEEL",
            "entry_points.txt",
            "licenses/LICENSE",
            "licenses/THIRD-PARTY-LICENSES",
            "sboms/diffrec.cyclonedx.json",
        )
    }
    same(set(zipfile.ZipFile(wheel).namelist()), expected, wheel.name)
    if not {"diffrec/py.typed", "diffrec/_core.pyi", "diffrec/explore/page.html"} <= expected:
        raise SystemExit("the package lacks its type information or its page")
    with zipfile.ZipFile(wheel) as archive:
        bill = json.loads(archive.read(about + "sboms/diffrec.cyclonedx.json"))
    named = {(part["name"], part["version"]) for part in bill["components"]}
    crates = {(crate["name"], crate["version"]) for crate in compiled_in()}
    if bill["bomFormat"] != "CycloneDX" or not crates <= named:
        raise SystemExit(f"the bill of materials of {wheel.name} lacks {sorted(crates - named)}")
    said(f"{wheel.name}: {len(expected)} files, {wheel.stat().st_size / 1e6:.1f} MB, {len(crates)} crates are named")


def check_sdist(sdist: Path, folder: Path) -> None:
    """The sdist is the tracked files without .ci, .github and fuzz, and builds a wheel from an empty folder."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()} - {"PKG-INFO"}
    tracked = run("git", "ls-files", cwd=ROOT).split()
    same(names, {name for name in tracked if not name.startswith((".ci/", ".github/", "fuzz/"))}, sdist.name)
    # The crates it depends on are compiled already, in the checkout.
    environment = os.environ | {"CARGO_TARGET_DIR": str(ROOT / "target")}
    run(UV, "build", "--quiet", "--wheel", "--python", sys.executable, "--out-dir", folder, sdist, env=environment)
    (built,) = folder.glob("*.whl")
    said(f"{sdist.name}: {len(names)} files, builds {built.name}")


def check_module(wheel: Path, interpreter: Interpreter, folder: Path) -> None:
    """The compiled module loads and works. Free-threaded Python needs a wheel of its own, if one was built."""
    kind = "t" if interpreter.free_threaded else ""
    if interpreter.free_threaded:
        tag = "cp{}{}".format(*interpreter.version)
        own = sorted((ROOT / "dist").glob(f"diffrec-{VERSION}-{tag}-{tag}t-*.whl"))
        if not own:
            said(f"Python {interpreter}: not checked, make wheel-free-threaded builds a wheel for it")
            return
        wheel = own[-1]
    python = environment_of(interpreter, folder)
    run(UV, "pip", "install", "--quiet", "--python", python, "numpy")
    module = module_of(wheel, folder)
    run(python, "-I", "-c", LOADS, module, kind)
    said(f"Python {interpreter}: {module.name} loads")
    if interpreter.free_threaded:
        check_threads(wheel, python, folder)


def check_threads(wheel: Path, python: str, folder: Path) -> None:
    """Without the GIL threads that share a model get what one gets, and the GIL stays off."""
    run(UV, "pip", "install", "--quiet", "--python", python, wheel, "pytest", "hypothesis")
    shutil.copytree(ROOT / "tests", folder / "tests")
    # Without the settings of pyproject.toml: what another library warns of is no matter here.
    alone = ("-q", "-c", os.devnull, "--rootdir", folder)
    command = (python, "-m", "pytest", *alone, "tests/recommenders/test_threads.py")
    subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(folder / "tests")}, check=True)
    said(f"{python}: threads agree without the GIL")


def module_of(wheel: Path, folder: Path) -> Path:
    """Take the compiled module out of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith((".so", ".pyd")))
        return Path(archive.extract(name, folder))


def check_installed(wheel: Path, interpreter: Interpreter, resolution: str, folder: Path) -> None:
    """The installed package does its main job, says what it lacks, and passes tests with every extra."""
    started = time.perf_counter()
    python = environment_of(interpreter, folder)
    # To uv the requirements of a wheel it is given are indirect; those of pyproject.toml are the same, and direct.
    install = (UV, "pip", "install", "--quiet", "--python", python, "--resolution", resolution)
    requirements = ("-r", str(ROOT / "pyproject.toml"))
    run(*install, *requirements)
    run(*install, "--no-deps", wheel)
    run(UV, "pip", "check", "--quiet", "--python", python)
    said(f"{folder.name}: Python {interpreter}, " + ", ".join(versions(python)))
    command = str(Path(python).with_name("diffrec"))
    lacking = subprocess.run([command], capture_output=True, text=True, check=False, cwd=folder)
    if lacking.returncode != 1 or 'pip install "diffrec[cli]"' not in lacking.stderr:
        raise SystemExit(f"without typer the command says {lacking.stderr!r}")
    run(python, "-m", "diffrec.demo", cwd=folder)
    said(f"{folder.name}: the demo ran")
    run(python, ROOT / ".ci/run_page.py", ROOT / "README.md:2")
    said(f"{folder.name}: the first blocks of the README ran")

    extras = sorted(PROJECT["project"]["optional-dependencies"].keys() - {"all", LATER_EXTRA} - CLUSTERS)
    chosen = [word for extra in extras for word in ("--extra", extra)]
    run(*install, *requirements, *chosen, "--group", "test")
    run(UV, "pip", "check", "--quiet", "--python", python)
    print(run(command, "doctor", cwd=folder), flush=True)
    for name in ("tests", "docs", "README.md", "pyproject.toml"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("_build", "api", "figures"))
        else:
            shutil.copy(ROOT / name, folder / name)
    run_tests(python, folder, TESTS)
    run(*install, *requirements, "--extra", "all", "--group", "test")
    run(UV, "pip", "check", "--quiet", "--python", python)
    said(f"{folder.name}, extra {LATER_EXTRA}: " + ", ".join(versions(python)))
    run_tests(python, folder, LATER_TESTS)
    said(f"{folder.name}: passed in {time.perf_counter() - started:.0f} s")


def check_pages(
    wheel: Path,
    interpreter: Interpreter,
    extras: tuple[str, ...],
    besides: tuple[str, ...],
    pages: tuple[str, ...],
    folder: Path,
) -> None:
    """Pages run with the wheel, some extras and what the pages ask for, in an environment of their own."""
    python = environment_of(interpreter, folder)
    named = f"diffrec[{','.join(extras)}] @ {wheel.as_uri()}" if extras else str(wheel)
    run(UV, "pip", "install", "--quiet", "--python", python, named, *besides)
    for line in run(python, ROOT / ".ci/run_page.py", *(ROOT / page for page in pages), cwd=folder).splitlines():
        said(f"{', '.join(extras) or 'nothing'} and the wheel: {line}")
    shutil.rmtree(folder)


def other_pages() -> tuple[str, ...]:
    """Pages with blocks that no extras are named for."""
    named = {page.partition(":")[0] for _, _, pages in PAGES for page in pages} | {"docs/command-line.md"}
    written = {
        f"docs/{page.name}"
        for page in (ROOT / "docs").glob("*.md")
        if re.search(r"^```(python|sh)$", page.read_text(), flags=re.MULTILINE)
    }
    return tuple(sorted(written - named))


def run_tests(python: str, folder: Path, tests: tuple[str, ...]) -> None:
    """Run tests against the installed package, with what they print."""
    # What some release of another package deprecates is no failure of the installed package's.
    options = ("-q", "--durations-min=5", "-o", "filterwarnings=default", "--disable-warnings")
    apart = ("-n", "auto", "--dist", "loadfile")  # as `make test` runs them
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([python, "-m", "pytest", *options, *apart, *tests], cwd=folder, env=environment, check=True)


def environment_of(interpreter: Interpreter, folder: Path) -> str:
    """Path of the Python of a new virtual environment."""
    run(UV, "venv", "--quiet", "--python", interpreter.path, folder / "venv")
    return str(folder / "venv/bin/python")


def versions(python: str) -> list[str]:
    """The direct dependencies as they were installed."""
    listed = dict(
        line.split("==") for line in run(UV, "pip", "freeze", "--python", python).splitlines() if "==" in line
    )
    names = [re.split(r"[^\w-]", requirement)[0] for requirement in PROJECT["project"]["dependencies"]]
    return [f"{name} {listed[name]}" for name in names]


def same(got: set[str], expected: set[str], name: str) -> None:
    """Fail where one has files that the other has not."""
    if got != expected:
        raise SystemExit(f"{name} has {sorted(got - expected)} too many and lacks {sorted(expected - got)}")


def run(*command: str | Path, cwd: Path = ROOT, env: dict[str, str] | None = None) -> str:
    """Run a command to its end; what it printed is shown where it fails."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def said(line: str) -> None:
    """Tell what has been checked."""
    print(line, flush=True)


if __name__ == "__main__":
    main()
