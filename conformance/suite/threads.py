"""One thread for each worker: cores are for cells, and how many threads add up a sum decides its last bits."""

from __future__ import annotations

import os

ONE = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "NPROC": "1",  # XLA's own pool
}


def hold_threads() -> None:
    """Holds this process and its children to one thread in every library that asks the environment, so before a
    framework is imported. What is set otherwise is overruled: the same run has the same results everywhere."""
    os.environ.update(ONE)
