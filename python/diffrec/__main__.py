"""``python -m diffrec`` is the command line."""

from diffrec.cli import main

if __name__ == "__main__":
    main()
