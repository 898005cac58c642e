"""Neither training nor ranking ever holds users x items: that array alone would take 1 GB here."""

import subprocess
import sys

from support.peak import OWN_PEAK

PEAK_BYTES = 1.5e9

FIT_AND_RANK = f"""{OWN_PEAK}
import numpy as np
from scipy import sparse
import diffrec

users, items, each = 5_000, 50_000, 30
rng = np.random.default_rng(0)
at = (np.repeat(np.arange(users), each), (items * rng.random(users * each) ** 2).astype(np.int64))
matrix = sparse.coo_array((np.ones(users * each, dtype=np.float32), at), shape=(users, items))
model = diffrec.fit(matrix, dims=(32,), epochs=1, progress=False)
assert model.recommend(k=20).items.shape == (users, 20)
print(peak())
"""


def test_peak_memory_of_many_users_and_items() -> None:
    done = subprocess.run([sys.executable, "-c", FIT_AND_RANK], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < PEAK_BYTES
