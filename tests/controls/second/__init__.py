"""The criteria written another way, each operation in the dtype itself; half precision adds up in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.controls.adapters import Written, written_in
from tests.controls.second import (
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


class Second(Written):
    """The adapter: `--framework tests.controls.second:Second`."""

    name = "second"
    criteria = written_in(batches, classes, ctc, elementwise, embeddings, pairs, pointwise, regions, scores, vectors)

    def works_in(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        return dtype
