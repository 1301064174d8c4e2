"""Adapter: how a framework is called. What third parties import; needs NumPy only."""

from conformance.adapter.protocol import (
    Adapter,
    Binding,
    Call,
    Difference,
    Environment,
    Harmful,
    Output,
    Unsupported,
    WorkerDied,
)

__all__ = ["Adapter", "Binding", "Call", "Difference", "Environment", "Harmful", "Output", "Unsupported", "WorkerDied"]
