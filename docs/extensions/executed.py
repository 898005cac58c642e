"""Run the code blocks of the pages while they are built, and show what came out.

The ``python`` blocks of a page run from top to bottom in one namespace, in a folder of their own. Below a block stands
what it printed, the value of its last line, and the figures it drew. ``sh`` blocks run in the same folder: commands of
``diffrec`` in this process, anything else, and what has indented lines, by bash. A block that fails, or warns, ends the
build with its page and line.

What is only to be read is a ``text`` or ``console`` block.
"""

import ast
import contextlib
import io
import linecache
import logging
import os
import shlex
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from typer.testing import CliRunner

from diffrec.cli.app import app as cli

LANGUAGES = ("python", "sh")
_FIGURES = "figures"


@dataclass
class Shown:
    """What a block brought: its text, and its figures as files."""

    text: str = ""
    figures: list[Path] = field(default_factory=list)


class BlockError(Exception):
    """A block failed; says where and how."""


class Page:
    """The blocks of one page, run one after the other.

    Parameters
    ----------
    path : Path
        The page, for messages and line numbers.
    folder : Path
        Where the blocks run.
    figures : Path
        Where their figures go.
    """

    def __init__(self, path: Path, folder: Path, figures: Path) -> None:
        self._path, self._folder, self._figures = path, folder, figures
        self._names: dict[str, Any] = {"__name__": "__main__"}
        # Figures that were shown already: a block that ends with one of these shows it no second time.
        self._drawn: list[Any] = []
        # One for the whole page: a block may set up a log that later blocks write to.
        self._out = io.StringIO()

    def run(self, language: str, code: str, line: int) -> Shown:
        """Run a block whose first line is this line of the page.

        Raises
        ------
        BlockError
            When it fails or warns.
        """
        self._out.seek(0)
        self._out.truncate()
        if language == "sh":
            return Shown(self._shell(code, line))
        value = self._python(code, line)
        figures = [*_open_figures(), *([value] if _is_figure(value) else [])]
        # What a drawing call returns is not what the reader is to see: the figure is.
        if value is not None and not figures:
            print(repr(value), file=self._out)
        return Shown(self._out.getvalue(), self._save(figures))

    def _python(self, code: str, line: int) -> Any:
        """Run a block; the value of its last line, if that has one."""
        name = str(self._path)
        try:
            # Blank lines before it give errors the line numbers of the page.
            tree = ast.parse("\n" * (line - 1) + code, name)
            last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
            with self._at_home(), warnings.catch_warnings():
                warnings.simplefilter("error")
                exec(compile(tree, name, "exec"), self._names)
                return None if last is None else eval(compile(ast.Expression(last.value), name, "eval"), self._names)
        except Exception as error:
            linecache.checkcache(name)
            frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
            at = frames[-1].lineno if frames else getattr(error, "lineno", line)
            raise BlockError(f"{name}:{at}: {type(error).__name__}: {error}") from error

    def _shell(self, code: str, line: int) -> str:
        lines = code.splitlines()
        if any(one.startswith(" ") for one in lines):
            return self._bash(code, line)
        return "".join(
            (self._diffrec if one.startswith("diffrec ") else self._bash)(one, line + place)
            for place, one in enumerate(lines)
        )

    def _diffrec(self, command: str, line: int) -> str:
        """A command of the library's, without the seconds that a process of its own takes to start."""
        with contextlib.chdir(self._folder):
            done = CliRunner(env={"COLUMNS": "100", "NO_COLOR": "1"}).invoke(
                cli, shlex.split(command)[1:], prog_name="diffrec"
            )
        if done.exit_code:
            raise BlockError(f"{self._path}:{line}: exit code {done.exit_code}\n{done.output.strip()}")
        return done.stdout

    def _bash(self, code: str, line: int) -> str:
        # The command `diffrec` is the one of this environment.
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", code],
            cwd=self._folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise BlockError(f"{self._path}:{line}: exit code {done.returncode}\n{done.stderr.strip()}")
        return done.stdout

    @contextlib.contextmanager
    def _at_home(self) -> Iterator[None]:
        with (
            contextlib.chdir(self._folder),
            contextlib.redirect_stdout(self._out),
            contextlib.redirect_stderr(self._out),
        ):
            yield

    def _save(self, figures: list[Any]) -> list[Path]:
        saved = []
        for figure in figures:
            if any(figure is drawn for drawn in self._drawn):
                continue
            self._drawn.append(figure)
            self._figures.mkdir(parents=True, exist_ok=True)
            saved.append(self._figures / f"{self._path.stem}-{len(self._drawn)}.svg")
            figure.savefig(saved[-1], bbox_inches="tight", metadata={"Date": None})
            if "matplotlib.pyplot" in sys.modules:
                sys.modules["matplotlib.pyplot"].close(figure)
        return saved


def _open_figures() -> list[Any]:
    """Figures that pyplot holds; none where nothing has been drawn."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    return [] if pyplot is None else [pyplot.figure(number) for number in pyplot.get_fignums()]


def _is_figure(value: Any) -> bool:
    module = sys.modules.get("matplotlib.figure")
    return module is not None and isinstance(value, module.Figure)


@contextlib.contextmanager
def log_as_before() -> Iterator[None]:
    """Take back what a page changes of logging."""
    names = ("", "diffrec")
    before = [(logger, logger.handlers[:], logger.level, logger.propagate) for logger in map(logging.getLogger, names)]
    try:
        yield
    finally:
        for logger, handlers, level, propagate in before:
            logger.handlers[:], logger.level, logger.propagate = handlers, level, propagate
            logger.manager._clear_cache()  # type: ignore[attr-defined]


def run_blocks(app: Sphinx, doctree: nodes.document) -> None:
    """Run the blocks of a page that has been read, and put what they bring below them."""
    docname = app.env.docname
    if docname in app.config.executed_elsewhere or docname.startswith("api/"):
        return
    blocks = [block for block in doctree.findall(nodes.literal_block) if block.get("language") in LANGUAGES]
    if not blocks:
        return
    source = app.env.doc2path(docname)
    with tempfile.TemporaryDirectory() as folder, log_as_before():
        page = Page(Path(source), Path(folder), Path(app.srcdir, _FIGURES))
        for block in blocks:
            try:
                shown = page.run(block["language"], block.astext(), (block.line or 0) + 1)
            except BlockError as error:
                raise ExtensionError(str(error)) from error
            # Shell blocks are looked up in another table of colours.
            block["language"] = {"sh": "bash"}.get(block["language"], block["language"])
            _insert_below(block, shown)


def _insert_below(block: nodes.literal_block, shown: Shown) -> None:
    place = block.parent.index(block) + 1
    below: list[nodes.Node] = []
    if shown.text.strip():
        text = shown.text.rstrip()
        output = nodes.literal_block(text, text, language="none", classes=["output"])
        below.append(output)
    alt = _said_before(block)
    below += [nodes.image(uri=f"/{_FIGURES}/{file.name}", alt=alt, classes=["figure"]) for file in shown.figures]
    block.parent[place:place] = below


def _said_before(block: nodes.literal_block) -> str:
    """The paragraph that leads to a block: what a figure shows, for who cannot see it."""
    before = block.parent[: block.parent.index(block)]
    paragraphs = [node.astext() for node in before if isinstance(node, nodes.paragraph)]
    return paragraphs[-1].rstrip(":") if paragraphs else "figure"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.add_config_value("executed_elsewhere", [], "env", list, "Pages whose blocks something else runs.")
    # Before Sphinx collects the images of a page.
    app.connect("doctree-read", run_blocks, priority=100)
    # Blocks change the working folder and print: one page at a time.
    return {"parallel_read_safe": False, "parallel_write_safe": True}
