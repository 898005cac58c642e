"""How the documentation is built: ``make docs``."""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import diffrec  # noqa: E402 - found by the line above
from benches import growth, living, peers, scale  # noqa: E402

project = "diffrec"
author = "the authors of diffrec"
release = version = diffrec.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "docs.extensions.executed",
    "docs.extensions.mathml",
    "docs.extensions.public_names",
    "docs.extensions.settings_tables",
]
exclude_patterns = ["_build", "extensions"]
# A list may name a page that is not there; a page that no list names is a warning still.
suppress_warnings = ["toc.not_readable"]

# -- code that runs --------------------------------------------------------------------------------------------------

# tests/cli/test_documentation.py runs every command of this page, with fits that stop early.
executed_elsewhere = ["command-line"]

# -- pages -----------------------------------------------------------------------------------------------------------

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# -- docstrings ------------------------------------------------------------------------------------------------------

napoleon_google_docstring = False
napoleon_custom_sections = [("Settings", "params_style")]
napoleon_use_ivar = True
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say what the parameters are
autodoc_preserve_defaults = True
maximum_signature_line_length = 100
add_module_names = False

# -- HTML ------------------------------------------------------------------------------------------------------------

html_theme = "furo"
html_title = f"diffrec {release}"
html_static_path = ["static"]
html_css_files = ["diffrec.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
copybutton_exclude = ".linenos, .gp, .go"
pygments_style = "friendly"

# -- figures of measurements -----------------------------------------------------------------------------------------

FIGURES = Path(__file__).parent / "figures"
FIGURES.mkdir(exist_ok=True)
for name, bench in (("growth", growth), ("living", living), ("peers", peers), ("scale", scale)):
    bench.draw().savefig(FIGURES / f"{name}.svg", metadata={"Date": None})
