"""The criteria as a textbook writes them; half precision is computed in float32 and rounded once."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.controls.adapters import Written, written_in
from tests.controls.first import (
    batches,
    classes,
    ctc,
    elementwise,
    embeddings,
    pairs,
    pointwise,
    regions,
    scores,
    vectors,
)


class First(Written):
    """The adapter: `--framework tests.controls.first:First`."""

    name = "first"
    criteria = written_in(batches, classes, ctc, elementwise, embeddings, pairs, pointwise, regions, scores, vectors)

    def works_in(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        return np.dtype(np.float32) if dtype.itemsize == 2 else dtype
