"""Which function and module of torch is a criterion's, under which names, and what torch documents to be different."""

from __future__ import annotations

from conformance import Difference

# criterion: the function in torch.nn.functional, the module in torch.nn, and the inputs that they differentiate
FUNCTIONS: dict[str, tuple[str, str, str]] = {
    "bce": ("binary_cross_entropy", "BCELoss", "input target"),
    "bce_with_logits": ("binary_cross_entropy_with_logits", "BCEWithLogitsLoss", "input target"),
    "cosine_embedding": ("cosine_embedding_loss", "CosineEmbeddingLoss", "input1 input2"),
    "cosine_similarity": ("cosine_similarity", "CosineSimilarity", "input1 input2"),
    "cross_entropy": ("cross_entropy", "CrossEntropyLoss", "input"),
    "ctc": ("ctc_loss", "CTCLoss", "log_probs"),
    "gaussian_nll": ("gaussian_nll_loss", "GaussianNLLLoss", "input target var"),
    "hinge_embedding": ("hinge_embedding_loss", "HingeEmbeddingLoss", "input"),
    "huber": ("huber_loss", "HuberLoss", "input target weight"),
    "kl_div": ("kl_div", "KLDivLoss", "input target"),
    "l1": ("l1_loss", "L1Loss", "input target weight"),
    "margin_ranking": ("margin_ranking_loss", "MarginRankingLoss", "input1 input2 target"),
    "mse": ("mse_loss", "MSELoss", "input target weight"),
    "multi_margin": ("multi_margin_loss", "MultiMarginLoss", "input"),
    "multilabel_margin": ("multilabel_margin_loss", "MultiLabelMarginLoss", "input"),
    "multilabel_soft_margin": ("multilabel_soft_margin_loss", "MultiLabelSoftMarginLoss", "input target weight"),
    "nll": ("nll_loss", "NLLLoss", "input"),
    "nll_2d": ("nll_loss", "NLLLoss", "input"),
    "poisson_nll": ("poisson_nll_loss", "PoissonNLLLoss", "input target"),
    "smooth_l1": ("smooth_l1_loss", "SmoothL1Loss", "input target"),
    "soft_cross_entropy": ("cross_entropy", "CrossEntropyLoss", "input target weight"),
    "soft_margin": ("soft_margin_loss", "SoftMarginLoss", "input"),
    "triplet_margin": ("triplet_margin_loss", "TripletMarginLoss", "anchor positive negative"),
    "triplet_margin_with_distance": (
        "triplet_margin_with_distance_loss",
        "TripletMarginWithDistanceLoss",
        "anchor positive negative",
    ),
}

_FUNCTIONAL = "https://github.com/pytorch/pytorch/blob/v2.13.0/torch/nn/functional.py"
_MODULES = "https://docs.pytorch.org/docs/2.13/generated/torch.nn"
WARNED = Difference(
    "Using a target size that is different to the input size. This will likely lead to incorrect results due to "
    "broadcasting. Please ensure they have the same size.",
    _FUNCTIONAL,
    checks=("invalid.broadcast_*", "invalid.rank_*"),
)

DIFFERENCES = {
    "huber": (WARNED,),
    "l1": (WARNED,),
    "mse": (WARNED,),
    "smooth_l1": (WARNED,),
    "gaussian_nll": (
        Difference(
            "Target: same shape as the input, or same shape as the input but with one dimension equal to 1 (to allow "
            "for broadcasting).",
            f"{_MODULES}.GaussianNLLLoss.html",
            checks=("invalid.broadcast_target_*",),
        ),
        Difference(
            "Var: same shape as the input, or same shape as the input but with one dimension equal to 1, or same shape "
            "as the input but with one fewer dimension (to allow for broadcasting), or a scalar value.",
            f"{_MODULES}.GaussianNLLLoss.html",
            checks=("invalid.broadcast_var_*",),
        ),
    ),
    "cosine_similarity": (
        Difference(
            "x1 and x2 must be broadcastable to a common shape.",
            "https://docs.pytorch.org/docs/2.13/generated/torch.nn.functional.cosine_similarity.html",
            checks=("invalid.broadcast_*", "invalid.rank_*"),
        ),
    ),
    "bce": (
        Difference(
            "BCELoss clamps its log function outputs to be greater than or equal to -100.",
            "https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html",
            when="log(input) < -100 or log1p(-input) < -100",
        ),
    ),
    "triplet_margin_with_distance": (
        Difference(
            "eps (float, optional) - Small value to avoid division by zero. Default: 1e-8",
            f"{_MODULES}.CosineSimilarity.html",
            when="distance == 'cosine' and (norm(anchor, over=D, p=2) < 1e-8 or norm(positive, over=D, p=2) < 1e-8 "
            "or norm(negative, over=D, p=2) < 1e-8)",
        ),
    ),
}

# Where torch calls an input by another name, and where only its module does.
NAMES = {"cosine_similarity": {"input1": "x1", "input2": "x2"}}
MODULE_NAMES = {**NAMES, "poisson_nll": {"input": "log_input"}}
