"""The mutants, by criterion. Importing the package fills the registry."""

from tests.mutants.faults import (
    bce,
    categorical_hinge,
    class_margins,
    cosine,
    cross_entropy,
    ctc,
    gaussian,
    hinges,
    joints,
    kl_div,
    log_cosh,
    logits,
    margins,
    nll,
    poisson,
    quantiles,
    regression,
    smoothing,
    soft_margins,
    triplet,
)
from tests.mutants.registry import MUTANTS

MODULES = (
    bce,
    categorical_hinge,
    class_margins,
    cosine,
    cross_entropy,
    ctc,
    gaussian,
    hinges,
    joints,
    kl_div,
    log_cosh,
    logits,
    margins,
    nll,
    poisson,
    quantiles,
    regression,
    smoothing,
    soft_margins,
    triplet,
)

__all__ = ["MODULES", "MUTANTS"]
