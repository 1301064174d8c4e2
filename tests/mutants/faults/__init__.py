"""The mutants, by criterion. Importing the package fills the registry."""

from tests.mutants.faults import (
    bce,
    class_margins,
    cosine,
    cross_entropy,
    ctc,
    gaussian,
    hinges,
    joints,
    kl_div,
    log_cosh,
    logarithms,
    logits,
    margins,
    nll,
    percentages,
    poisson,
    quantiles,
    regression,
    smoothing,
    soft_margins,
    soft_targets,
    triplet,
)
from tests.mutants.registry import MUTANTS

MODULES = (
    bce,
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
    logarithms,
    margins,
    nll,
    percentages,
    poisson,
    quantiles,
    regression,
    smoothing,
    soft_margins,
    soft_targets,
    triplet,
)

__all__ = ["MODULES", "MUTANTS"]
