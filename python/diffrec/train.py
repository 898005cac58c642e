"""Training by several processes: ``torchrun --nproc-per-node=N -m diffrec.train DATA --out MODEL``.

It takes what ``diffrec fit`` takes; each process holds a part of the items.
"""

import sys

from diffrec.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "fit")
    main()
