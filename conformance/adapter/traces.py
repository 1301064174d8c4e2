"""What `tf.function` traces in this process, and for how long. For adapters that run tensorflow."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class Traces:
    """Traced functions, and the time of the calls that traced: for a new shape, dtype or option."""

    def __init__(self) -> None:
        self.compiling = 0.0  # seconds so far

    def traced(self, function: Callable[..., Any], *, by_xla: bool = False) -> Callable[..., Any]:
        """The function under `tf.function`; with `by_xla`, compiled by XLA as well, within the same call."""
        import tensorflow as tf

        graph = tf.function(function, autograph=False, jit_compile=by_xla or None)

        def timed(*given: Any) -> Any:
            start, before = time.perf_counter(), graph.experimental_get_tracing_count()
            found = graph(*given)
            self.compiling += (time.perf_counter() - start) * (graph.experimental_get_tracing_count() > before)
            return found

        return timed
