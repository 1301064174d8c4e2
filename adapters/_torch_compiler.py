"""torch.compile, as the adapter uses it: whether it can, what it has compiled, how long that took, what it refuses."""

from __future__ import annotations

import contextlib
import os
import shutil
import sysconfig
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

MOST_HELD = 10_000  # compilations of a function; beyond its own limit, torch would go on eagerly, or stop

# How torch says that it has no kernel, no derivative, or no compiler; the message then names what it has it not for.
REFUSALS = ("not implemented for", "is not implemented", "is not differentiable with respect", "supported on Python")


class Compiler:
    """torch.compile for one criterion at a time.

    Attributes:
        path: of the C++ compiler that it takes; "" where it cannot work here.
        seconds: spent compiling so far.
    """

    def __init__(self) -> None:
        compiler = shutil.which(os.environ.get("CXX", "g++"))
        has_headers = os.path.isfile(os.path.join(sysconfig.get_path("include"), "Python.h"))
        self.path = compiler if compiler and has_headers and hasattr(torch, "compile") else ""
        self.seconds = 0.0
        self._held: tuple[str, Callable[..., Any]] | None = None

    def compiled(self, criterion: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function, compiled whole for each shape and number; that of another criterion is let go."""
        if self._held is not None and criterion == self._held[0]:
            return self._held[1]
        import torch._functorch.config
        import torch._inductor.config

        torch._dynamo.reset()
        torch._dynamo.config.cache_size_limit = torch._dynamo.config.accumulated_cache_size_limit = MOST_HELD
        # Of what earlier runs left on the disk, only libraries of the very same C++ are taken, no graphs.
        torch._inductor.config.fx_graph_cache = torch._functorch.config.enable_autograd_cache = False
        torch._inductor.config.compile_threads = 1
        self._held = criterion, torch.compile(lambda **given: function(**given), fullgraph=True, dynamic=False)
        return self._held[1]

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Counts the time of the block as spent compiling, if a graph was made in it."""
        stats = torch._dynamo.utils.counters["stats"]
        start, graphs = time.perf_counter(), stats.get("unique_graphs", 0)
        yield
        self.seconds += (time.perf_counter() - start) * (stats.get("unique_graphs", 0) > graphs)


def refusal_of(error: Exception) -> str:
    """What torch says that it does not offer; "" where it fails."""
    said, kind = str(error).strip(), type(error)
    if kind.__module__ == "torch._dynamo.exc" and kind.__name__ in ("Unsupported", "UserError"):
        return f"torch.compile makes no graph of it: {' '.join(said.split())[:300]}"
    return said if any(refusal in said for refusal in REFUSALS) else ""
