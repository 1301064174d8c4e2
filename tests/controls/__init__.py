"""Adapters that are right, and what comes of judging them: a `fails` here is a false alarm, or a control to mend.

`python -m tests.controls` draws fresh cases and judges them all.
"""
