"""Adapters in a process of their own: in another interpreter, or where a call may crash. docs/workers.md tells how."""
