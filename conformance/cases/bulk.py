"""Cases with 100,000 elements: what they combine. They stand beside the covering array, and count in no pair of it."""

from __future__ import annotations

import math

from conformance.cases.case import DTYPES
from conformance.cases.factors import Space, space_of
from conformance.cases.layouts import bulk_buckets
from conformance.cases.steps import largest
from conformance.formula import dims_of
from conformance.spec.layout import Layout, axes_of, expand
from conformance.spec.model import Spec

ORDINARY = 16  # what a loss of ordinary numbers stays below


def bulk_space(spec: Spec, dtype: str) -> Space:
    """The factors of `spec` in `dtype`, with large layouts and with the reductions that come to one number."""
    layouts = bulk_buckets(spec)
    terms = max(_terms(spec, bucket.layout) for bucket in layouts)
    fits = terms * ORDINARY <= largest(DTYPES[dtype])
    # A plain sum beyond the dtype's largest number would tell nothing.
    kept = tuple(name for name, root in spec.reduce.items() if name != "none" and (fits or root.op != "sum"))
    return space_of(spec, dtype, {"layout": layouts, **({"reduction": kept} if kept else {})})


def _terms(spec: Spec, layout: Layout) -> int:
    """The number of terms that are summed."""
    axes = tuple(layout)
    dims = {name: axes_of(spec, name, axes) for name in spec.inputs}
    return math.prod(layout[axis] for axis in dims_of(spec.loss, dims, lambda axis: expand(spec.dims[axis], axes)))
