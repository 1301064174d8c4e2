"""The criteria on all pairs of a batch, from their definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb

from .criteria_pairs import cosine, dot
from .reduction import each, reduced
from .scalars import ZERO, Scalar, Scalars, constant, exp, log, positive_part, smaller


def npair(anchor: Scalars, positive: Scalars, target: Any, l2_reg: float = 0.002, reduction: str = "mean") -> Scalars:
    """-mean over the group of log softmax(a_i p_j)_j, plus l2_reg (|a|^2 + |p|^2) / 4."""
    t = np.asarray(target)

    def term(at: tuple[int, ...]) -> Scalar:
        e = [exp(dot(anchor[at], other)) for other in positive]
        group = [k for k in range(len(t)) if t[k] == t[at]]
        match = -sum((log(e[k] / sum(e, ZERO)) for k in group), ZERO) / len(group)
        return match + arb(l2_reg) * (dot(anchor[at], anchor[at]) + dot(positive[at], positive[at])) / 4

    return reduced(each(t.shape, term), reduction)


def nt_xent(input: Scalars, target: Any, temperature: float = 0.07, reduction: str = "mean") -> Scalars:
    """-sum over the others of a group of log(e_ij / (e_ij + sum over other groups of e_ik)), e = exp(cos / T)."""
    t = np.asarray(target)
    pairs = sum(int(t[i] == t[j]) for i in range(len(t)) for j in range(len(t)) if i != j)

    def term(at: tuple[int, ...]) -> Scalar:
        others = [k for k in range(len(t)) if k != at[0]]
        e = {k: exp(cosine(input[at], input[k]) / arb(temperature)) for k in others}
        rest = sum((e[k] for k in others if t[k] != t[at]), ZERO)
        return -sum((log(e[k] / (e[k] + rest)) for k in others if t[k] == t[at]), ZERO)

    return reduced(each(t.shape, term), reduction, mean_over=pairs)


def circle(
    input: Scalars,
    target: Any,
    gamma: float = 80.0,
    margin: float = 0.4,
    normalise: bool = True,
    constant_weights: bool = True,
    reduction: str = "mean",
    held: Scalars | None = None,
) -> Scalars:
    """log(1 + sum_n exp(g a_n (s_n - m)) sum_p exp(-g a_p (s_p - 1 + m))).

    a_n = max(s_n + m, 0), a_p = max(1 + m - s_p, 0). Constant weights are those at `held`, which is the input itself
    unless the input is moved away from the point where they are constant.
    """
    t, m, g = np.asarray(target), arb(margin), arb(gamma)

    def alike(x: Scalars, i: int, k: int) -> Scalar:
        return cosine(x[i], x[k]) if normalise else smaller(dot(x[i], x[k]), ZERO + 1)

    def term(at: tuple[int, ...]) -> Scalar:
        own, other = ZERO, ZERO
        for k in range(len(t)):
            if k == at[0]:
                continue
            s = weighed = alike(input, at[0], k)
            if constant_weights:
                weighed = constant(alike(input if held is None else held, at[0], k))
            if t[k] == t[at]:
                own = own + exp(-g * positive_part(1 + m - weighed) * (s - 1 + m))
            else:
                other = other + exp(g * positive_part(weighed + m) * (s - m))
        return log(1 + own * other)

    return reduced(each(t.shape, term), reduction)


FORMULAS: dict[str, Callable[..., Scalars]] = {
    "npair": npair,
    "nt_xent": nt_xent,
    "circle": circle,
}
