"""What stands beside the code says what is so: metadata, citation, changelog, licences, CONTRIBUTING."""

import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import sklearn
import torch
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import diffrec
from diffrec.recommenders import VARIANTS

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
CARGO: dict[str, Any] = tomllib.loads((ROOT / "Cargo.toml").read_text())
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
# Extras whose packages are no part of the environment that tests run in: too large for everybody.
ENGINES = {"ray", "spark"}


def test_one_version() -> None:
    version = PROJECT["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    locked = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    assert CARGO["package"]["version"] == version
    assert [package["version"] for package in locked if package["name"] == "diffrec"] == [version]
    assert citation["version"] == version
    assert diffrec.__version__ == version
    released = re.findall(r"(?m)^## \[([\d.]+)\]", (ROOT / "CHANGELOG.md").read_text())
    assert "date-released" not in citation or version in released


def test_the_citation_has_what_the_format_asks_for() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert str(citation["cff-version"]) == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    assert citation["type"] == "software"
    assert citation["license"] == PROJECT["project"]["license"]
    (paper,) = citation["references"]
    assert {"type", "title", "authors"} <= paper.keys()
    assert [author["family-names"] for author in paper["authors"]] == ["Wang", "Xu", "Feng", "Lin", "He", "Chua"]
    assert paper["doi"] == "10.1145/3539618.3591663"


def test_the_extra_all_has_every_other_but_engines() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    (joined,) = extras["all"]
    assert joined == f"diffrec[{','.join(sorted(extras.keys() - {'all'} - ENGINES))}]"


def test_bounds_of_extras_are_those_that_are_tested() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    groups = PROJECT["dependency-groups"]
    tested = {entry for group in ("test", "dev") for entry in groups[group] if isinstance(entry, str)}
    for extra, packages in extras.items():
        # Tests with an engine take the one that is there.
        assert extra in {"all", *ENGINES} or set(packages) <= tested, extra


def test_every_folder_is_in_the_house() -> None:
    house = CONTRIBUTING.partition("## The house")[2].partition("##")[0]
    for folder in sorted(path.parent for path in (ROOT / "python/diffrec").glob("*/__init__.py")):
        assert f"{folder.name}/" in house, folder.name
    roots = [ROOT / folder for folder in ("python", "rust", "tests", "docs", "benches", "examples")]
    present = {path.name for root in roots for path in root.rglob("*")}
    for name in set(re.findall(r"[\w/]+/|\w+\.py", house.partition("Imports")[0])):
        assert (ROOT / name).exists() or Path(name).name in present, name


def test_what_contributing_names_exists() -> None:
    text = re.sub(r"```.*?```", "", CONTRIBUTING, flags=re.DOTALL)
    named = set(re.findall(r"`([^`\n]+)`", text))
    paths = {name for name in named if re.fullmatch(r"[\w./-]+", name) and ("/" in name or re.search(r"\.\w+$", name))}
    assert len(paths) > 20
    for path in paths - {"dist/", "docs/_build/html", "local.mk"}:  # made when they are wanted
        assert (ROOT / path).exists(), path
    targets = re.findall(r"(?m)^([\w-]+):", (ROOT / "Makefile").read_text())
    asked = {match[1] for name in named if (match := re.fullmatch(r"(?:\w+=\S+ )?make ([\w-]+).*", name))}
    assert len(asked) > 8
    assert asked <= set(targets)
    code = [*(ROOT / "rust").rglob("*.rs"), *(ROOT / "python").rglob("*.py*"), *(ROOT / "docs").rglob("*.py")]
    sources = [*code, ROOT / "tests/conftest.py"]
    words = set(re.findall(r"\w+", "\n".join(path.read_text() for path in sources if path.suffix != ".pyc")))
    names = {name for name in named if re.fullmatch(r"[A-Za-z_]\w*", name)}
    assert len(names) > 20
    assert names <= words | set(PROJECT["project"]["optional-dependencies"]) | {"date"}


def test_the_variant_of_contributing_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The walk as it is written: fitted, asked, explained, saved, exported, refused by name."""
    model_block, export_block = re.findall(r"```python\n(.*?)```", CONTRIBUTING, flags=re.DOTALL)
    module = ModuleType("fading")
    monkeypatch.setitem(sys.modules, "fading", module)  # where a dataclass looks its names up
    monkeypatch.setitem(VARIANTS, "fading", None)  # registered below, and taken out again at the end
    exec(compile(model_block, "CONTRIBUTING.md", "exec"), module.__dict__)

    day = 86400
    data = diffrec.Interactions.from_arrays([0, 1, 2, 3], [7, 7, 8, 9], timestamp=[0, 0, 30 * day, 30 * day - 60])
    model = diffrec.fit(data, variant="fading")
    np.testing.assert_allclose(model.score(0), [[1.0, 1.0, 0.5 ** (60 / day / 30)]], rtol=1e-6)
    assert diffrec.fit(data, variant="fading", days=1).recommend(0, k=2).items.tolist() == [[8, 9]]
    assert model.explain(0, 8).baseline == 1.0
    assert sklearn.base.clone(model).get_params()["days"] == 30.0
    with pytest.raises(ValueError, match="days must be above 0"):
        diffrec.fit(data, variant="fading", days=0)
    model.save(tmp_path / "model.diffrec")
    np.testing.assert_array_equal(diffrec.load(tmp_path / "model.diffrec").score(), model.score())
    with pytest.raises(TypeError, match="Fading cannot be exported"):
        diffrec.export.program(model, k=2)
    exec(compile(export_block, "CONTRIBUTING.md", "exec"), module.__dict__)
    items, scores = diffrec.export.program(model, k=2).module()(torch.tensor([[0, -1]]), torch.ones(1, 2))
    top = model.recommend(0, k=2)
    np.testing.assert_array_equal(items, top.item_rows)
    np.testing.assert_allclose(scores, top.scores)


def test_the_licences_name_every_crate_that_needs_them() -> None:
    text = (ROOT / "THIRD-PARTY-LICENSES").read_text()
    needed = set(CARGO["dependencies"])
    assert needed <= set(re.findall(r"(?m)^([\w-]+) \d\S* \(", text))


CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"


def test_what_it_is_built_of_is_locked() -> None:
    for lock in ("Cargo.lock", "fuzz/Cargo.lock"):
        for crate in tomllib.loads((ROOT / lock).read_text())["package"]:
            own = crate["name"] in ("diffrec", "diffrec-fuzz")
            assert own or (crate["source"] == CRATES_IO and len(crate["checksum"]) == 64), crate
    entries = re.split(r"(?m)^(?=\S)", re.sub(r"(?m)^ *#.*\n", "", (ROOT / ".ci/requirements.lock").read_text()))
    pinned: dict[str, list[str]] = {}
    for entry in filter(None, entries):
        name, version = re.match(r"([\w.-]+)==([\w.+]+)", entry).groups()  # type: ignore[union-attr]
        assert "--hash=sha256:" in entry, name
        pinned.setdefault(canonicalize_name(name), []).append(version)
    assert len(pinned) > 100
    groups = PROJECT["dependency-groups"]
    wanted = PROJECT["project"]["dependencies"] + [one for group in groups.values() for one in group]
    for text in wanted:
        if isinstance(text, str):
            asked = Requirement(text)
            versions = pinned[canonicalize_name(asked.name)]
            assert all(asked.specifier.contains(version) for version in versions), (text, versions)


def test_every_kernel_has_a_fuzz_target() -> None:
    said = {"multiplies_bfloat16", "simd_level", "simd_levels", "threads"}  # what takes nothing
    kernels = {name for name in dir(diffrec._core) if not name.startswith("_")} - said
    targets = {file.stem for file in (ROOT / "fuzz/targets").glob("*.rs")}
    declared = tomllib.loads((ROOT / "fuzz/Cargo.toml").read_text())["bin"]
    assert kernels == targets == {target["name"] for target in declared}


def test_crates_have_licences_that_are_allowed() -> None:
    deny = tomllib.loads((ROOT / "deny.toml").read_text())
    assert deny["sources"]["unknown-registry"] == deny["sources"]["unknown-git"] == "deny"
    assert deny["sources"]["allow-registry"] == [CRATES_IO.removeprefix("registry+")]
    # THIRD-PARTY-LICENSES has the choices of every crate that is compiled in.
    text = (ROOT / "THIRD-PARTY-LICENSES").read_text()
    for name, choices in re.findall(r"(?m)^([\w-]+) \d\S* \((.*)\)$", text):
        assert set(re.split(r" OR |/", choices)) & set(deny["licenses"]["allow"]), name


def script(name: str) -> ModuleType:
    """A script of .ci as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f".ci/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_licence_is_permissive_where_one_may_choose_so() -> None:
    is_permissive = script("third_party").is_permissive
    assert all(map(is_permissive, ("MIT", "MIT OR Apache-2.0", "Unlicense/MIT", "GPL-3.0 OR ISC")))
    assert not any(map(is_permissive, ("GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Apache-2.0) AND Unicode-3.0", "")))


def test_pages_and_every_extra_are_tried_with_the_wheel() -> None:
    """`make check-wheel` runs pages with the extras they name, and all others with the command line."""
    check_wheel = script("check_wheel")
    tried = {page.partition(":")[0] for _, _, pages in check_wheel.PAGES for page in pages}
    assert all((ROOT / page).exists() for page in tried)
    assert {"docs/own-csv.md", "docs/rivals.md"} <= set(check_wheel.other_pages())
    assert not tried & set(check_wheel.other_pages())
    named = {extra for extras, _, _ in check_wheel.PAGES for extra in extras}
    # What is fetched from elsewhere is not, nor are clusters.
    assert named == PROJECT["project"]["optional-dependencies"].keys() - {"all", "datasets"} - check_wheel.CLUSTERS
