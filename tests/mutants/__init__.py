"""Implementations that are wrong, each in one way that people really write: how many of them do the checks tell apart?

`python -m tests.mutants` judges them all.
"""
