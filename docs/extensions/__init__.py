"""What the documentation is built with besides Sphinx: code that runs, settings, the public names, formulas."""
