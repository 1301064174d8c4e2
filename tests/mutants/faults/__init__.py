"""The mutants, by criterion. Importing the package fills the registry."""

from tests.mutants.faults import (
    bce,
    categorical_hinge,
    class_margins,
    class_maxima,
    cosine,
    cross_entropy,
    ctc,
    focal,
    gaussian,
    joints,
    kl_div,
    logits,
    margins,
    nll,
    poisson,
    ranking,
    regions,
    regression,
    smoothing,
    soft_margins,
    sparse,
    triplet,
)
from tests.mutants.registry import MUTANTS

MODULES = (
    bce,
    categorical_hinge,
    class_margins,
    class_maxima,
    cosine,
    cross_entropy,
    ctc,
    focal,
    gaussian,
    joints,
    kl_div,
    logits,
    margins,
    nll,
    poisson,
    ranking,
    regions,
    regression,
    smoothing,
    soft_margins,
    sparse,
    triplet,
)

__all__ = ["MODULES", "MUTANTS"]
