"""The blocks of a page run in order, show what came out, and stop the build where they fail."""

import logging
from pathlib import Path

import pytest

from docs.extensions.executed import BlockError, Page, log_as_before


@pytest.fixture
def page(tmp_path: Path) -> Page:
    (tmp_path / "run").mkdir()
    return Page(tmp_path / "page.md", tmp_path / "run", tmp_path / "figures")


def test_shows_what_was_printed_and_the_last_value(page: Page) -> None:
    assert page.run("python", "a = 1\nprint('one')\na + 1", 1).text == "one\n2\n"
    # Names last, what was shown does not; None is not worth a line.
    assert page.run("python", "a\nprint(a)", 5).text == "1\n"
    assert page.run("python", "a = 3", 9).text == ""


def test_errors_have_the_line_of_the_page(page: Page) -> None:
    page.run("python", "def fail():\n    raise ValueError('no good')", 3)
    with pytest.raises(BlockError, match=r"page.md:4: ValueError: no good"):
        page.run("python", "b = 2\nfail()", 20)
    with pytest.raises(BlockError, match=r"page.md:31: SyntaxError"):
        page.run("python", "b = 2\nb = = 3", 30)


def test_a_warning_is_an_error(page: Page) -> None:
    with pytest.raises(BlockError, match="UserWarning: look out"):
        page.run("python", "import warnings\nwarnings.warn('look out')", 1)


def test_shell_blocks_share_the_folder(page: Page) -> None:
    page.run("python", "from pathlib import Path\n_ = Path('some.txt').write_text('1')", 1)
    assert page.run("sh", "cat some.txt\nfor i in 2 3; do\n  echo $i\ndone", 5).text == "12\n3\n"
    with pytest.raises(BlockError, match="exit code 1"):
        page.run("sh", "diffrec info nothing.diffrec", 9)
    with pytest.raises(BlockError, match="page.md:12: exit code 3"):
        page.run("sh", "true\nexit 3", 11)


def test_figures_are_kept_once(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    draw = "from matplotlib import pyplot as plt\nfigure = plt.figure()"
    (first,) = page.run("python", draw, 1).figures
    assert first.name == "page-1.svg"
    assert first.stat().st_size > 0
    assert page.run("python", "figure", 5).figures == []


def test_a_figure_that_is_the_last_value_is_shown(page: Page) -> None:
    made = page.run("python", "from matplotlib.figure import Figure\nfigure = Figure()\nfigure", 1)
    assert [path.name for path in made.figures] == ["page-1.svg"]
    assert made.text == ""
    # Once, and the next one has a name of its own.
    assert page.run("python", "figure", 5).figures == []
    assert [path.name for path in page.run("python", "Figure()", 7).figures] == ["page-2.svg"]


def test_the_log_is_as_before() -> None:
    before = logging.root.handlers[:], logging.root.level
    with log_as_before():
        logging.root.addHandler(logging.NullHandler())
        logging.root.setLevel("DEBUG")
    assert (logging.root.handlers, logging.root.level) == before
