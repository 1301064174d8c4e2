"""What XLA has compiled in this process: for how long, and when to let it go. For adapters that run jax."""

from __future__ import annotations

from typing import Any

MOST_HELD = 500  # executables: each takes up to 50 of the 65,530 memory maps of a process, and without maps XLA crashes


class Executables:
    """Counts what jax compiles, op by op or under `jit`; op by op, each scan adds two executables at every call."""

    def __init__(self) -> None:
        import jax

        self.compiling = 0.0  # seconds so far
        self.held = 0  # executables since jax's caches were last emptied
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def let_go(self) -> None:
        """Empties jax's caches if they hold too much. To be called before each call."""
        if self.held > MOST_HELD:
            import jax

            jax.clear_caches()
            self.held = 0

    def _listen(self, event: str, seconds: float, **_: Any) -> None:
        if event.startswith("/jax/core/compile/"):
            self.compiling += seconds
            self.held += event.endswith("backend_compile_duration")
