"""The criteria written another way, each operation in the dtype itself; half precision adds up in float32."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.controls.adapters import Written
from tests.controls.second import classes, ctc, elementwise, embeddings


class Second(Written):
    """The adapter: `--framework tests.controls.second:Second`."""

    name = "second"
    criteria = {  # noqa: RUF012
        "bce": elementwise.bce,
        "bce_with_logits": elementwise.bce_with_logits,
        "cosine_embedding": embeddings.cosine_embedding,
        "cross_entropy": classes.cross_entropy,
        "ctc": ctc.ctc,
        "gaussian_nll": elementwise.gaussian_nll,
        "hinge_embedding": elementwise.hinge_embedding,
        "huber": elementwise.huber,
        "kl_div": elementwise.kl_div,
        "l1": elementwise.l1,
        "margin_ranking": elementwise.margin_ranking,
        "mse": elementwise.mse,
        "multi_margin": classes.multi_margin,
        "multilabel_margin": classes.multilabel_margin,
        "multilabel_soft_margin": classes.multilabel_soft_margin,
        "nll": classes.nll,
        "nll_2d": classes.nll,
        "poisson_nll": elementwise.poisson_nll,
        "smooth_l1": elementwise.smooth_l1,
        "soft_margin": elementwise.soft_margin,
        "triplet_margin": embeddings.triplet_margin,
    }

    def works_in(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        return dtype
