"""What the pages must hold: every setting, every public name, every example, nothing from elsewhere."""

import dataclasses
import importlib.util
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from docutils import nodes

import diffrec
from diffrec import plots
from diffrec.recommenders import VARIANTS
from docs.extensions import executed, public_names
from docs.extensions.settings_tables import fields_of, settings_classes, symbol_nodes
from support.browser import browser, find_chromium

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def shown_settings() -> dict[str, list[str]]:
    """Class -> settings that the page shows, as the directive understands it."""
    shown: dict[str, list[str]] = {}
    for name, content in re.findall(r"```\{settings\} (\w+)\n(.*?)```", (DOCS / "settings.md").read_text(), re.DOTALL):
        here = shown.setdefault(name, [])
        here += content.split() or [f.name for f in fields_of(settings_classes()[name]) if f.name not in here]
    return shown


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_setting_of_every_variant_is_on_the_page(variant: str) -> None:
    kind = VARIANTS[variant].kind.settings_type
    shown = shown_settings()
    names = {
        name
        for one, of_class in settings_classes().items()
        if issubclass(kind, of_class)
        for name in shown.get(one, ())
    }
    assert names == {field.name for field in dataclasses.fields(kind)}


def test_no_setting_stands_twice() -> None:
    for name, settings in shown_settings().items():
        assert len(settings) == len(set(settings)), name


def test_what_a_class_of_settings_adds() -> None:
    classes = settings_classes()
    assert {field.name for field in fields_of(classes["MultiVAE"])} == {"anneal_cap", "anneal_batches"}
    assert "lr" in {field.name for field in fields_of(classes["LightGCN"])}  # another default than elsewhere


def test_symbols() -> None:
    symbols = {field.name: field.metadata["symbol"] for field in fields_of(settings_classes()["DiffRec"])}
    assert symbols["steps"] == "T"
    assert symbols["noise_min"] == "alpha_min"
    assert symbols["dims"] == ""
    letter, index = symbol_nodes("alpha_min")
    assert (letter.astext(), index.astext()) == ("\N{GREEK SMALL LETTER ALPHA}", "min")
    assert isinstance(index, nodes.subscript)
    assert "steps : default 5\n    number of diffusion steps [T]" in (diffrec.DiffRec.__doc__ or "")


def test_every_public_name_has_its_place(tmp_path: Path) -> None:
    found = public_names.documented()
    everything = [value for names in found.values() for value in names.values()]
    for name in diffrec.__all__:
        value = getattr(diffrec, name)
        if isinstance(value, type) or callable(value):
            assert found["diffrec"][name] is value
    for module in public_names.modules():
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            assert name.startswith("_") or type(value).__name__ == "module" or any(value is one for one in everything)
    public_names.write_pages(tmp_path)
    pages = "\n".join(page.read_text() for page in tmp_path.glob("*.rst"))
    for module, names in found.items():
        for name in names:
            assert re.search(rf"(?m):: {module}\.{name}$", pages), name


def test_every_example_is_shown() -> None:
    shown = re.findall(r"literalinclude\} \.\./examples/(\w+\.py)", (DOCS / "examples.md").read_text())
    assert sorted(shown) == sorted(path.name for path in (ROOT / "examples").glob("*.py"))


def test_every_test_that_a_promise_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", (DOCS / "reliability.md").read_text()))
    files = (ROOT / "tests").rglob("test_*.py")
    there = {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text())}
    assert len(named) > 50
    assert sorted(named - there) == []


def test_blocks_are_of_known_languages() -> None:
    # What runs is `python` or `sh`; anything else is to be read, and may not look as if it ran.
    allowed = {*executed.LANGUAGES, "text", "console", "{settings}", "{variants}", "{presets}", "{toctree}"}
    for page in DOCS.glob("*.md"):
        fences = re.findall(r"(?m)^```(\S*)", page.read_text())
        # Every other one closes a block.
        assert set(fences[::2]) <= allowed | {"{literalinclude}"}, page.name
        assert set(fences[1::2]) <= {""}, page.name


class _Loaded(HTMLParser):
    """Addresses that a browser asks for by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("script", "img", "iframe", "source"):
            self.found.append(values.get("src") or "")
        if tag == "link" and values.get("rel") in ("stylesheet", "preload", "icon", "shortcut icon"):
            self.found.append(values.get("href") or "")


@pytest.mark.long
def test_the_built_pages_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    import subprocess
    import sys

    arguments = ["--quiet", "--fail-on-warning", "--fresh-env", str(DOCS), str(tmp_path)]
    subprocess.run([sys.executable, "-m", "sphinx", *arguments], check=True, cwd=ROOT)
    pages = list(tmp_path.rglob("*.html"))
    assert len(pages) > 30
    for page in pages:
        parser = _Loaded()
        parser.feed(page.read_text())
        assert [one for one in parser.found if "//" in one] == [], page
    for sheet in tmp_path.rglob("*.css"):
        assert "url(http" not in sheet.read_text().replace('"', "").replace("'", ""), sheet


def test_every_picture_is_shown() -> None:
    pages = "".join((DOCS / name).read_text() for name in ("pictures.md", "guidance.md"))
    shown = set(re.findall(r"(?m)^(?:diffrec\.)?plots\.(\w+)\(", pages))
    assert shown == set(plots.__all__)


@pytest.mark.skipif(find_chromium() is None, reason="no Chromium is installed")
def test_the_contents_beside_a_page_are_never_cut_off(tmp_path: Path) -> None:
    # Found, not imported: that takes a second.
    furo = importlib.util.find_spec("furo")
    assert furo is not None
    assert furo.origin is not None
    theme = Path(furo.origin).parent / "theme/furo/static/styles/furo.css"
    styles = theme.read_text() + (DOCS / "static/diffrec.css").read_text()
    code = "x" * 110
    (tmp_path / "page.html").write_text(
        f"<!doctype html><style>{styles}</style><div class=page><aside class=sidebar-drawer></aside><div class=main>"
        f"<div class=content><article><pre style='overflow: auto'>{code}</pre></article></div>"
        "<aside class=toc-drawer>contents</aside></div></div>"
    )
    chromium = find_chromium()
    assert chromium is not None
    with browser(chromium, tmp_path / "profile") as page:
        for width in (1320, 1360, 1440, 1920):
            page.open((tmp_path / "page.html").as_uri(), width=width)
            right = page.wait("document.querySelector('.toc-drawer')?.getBoundingClientRect().right")
            assert 0 < right <= width, width
