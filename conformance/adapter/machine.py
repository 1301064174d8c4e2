"""What of the machine decides the last bits of a result, for the details of an environment."""

from __future__ import annotations

import numpy as np


def cpu_features() -> str:
    """The vector extensions of the CPU, as NumPy names them, with a space between."""
    return " ".join(np.show_config(mode="dicts")["SIMD Extensions"]["found"])
