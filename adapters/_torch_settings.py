"""What of torch's state decides the bits of a result, for the details of an environment; nothing is set here."""

from __future__ import annotations

import numpy as np
import torch


def flushes_subnormals() -> bool:
    """Whether torch's arithmetic on the CPU takes subnormal numbers for 0."""
    smallest = torch.tensor(np.finfo(np.float32).smallest_subnormal)
    return bool((smallest * 1 == 0).item())


def settings() -> dict[str, str]:
    """The CPU's kernels, and how exactly and repeatably a GPU computes; with CUDA, which GPU and libraries they are."""
    cudnn = torch.backends.cudnn
    found = {
        "threads": str(torch.get_num_threads()),
        "cpu capability": torch.backends.cpu.get_cpu_capability(),
        "BLAS": next((x.split("=")[1] for x in torch.__config__.show().split(", ") if "BLAS_INFO=" in x), "unknown"),
        "oneDNN": str(torch.backends.mkldnn.is_available()).lower(),
        "float32 matmul precision": torch.get_float32_matmul_precision(),
        "deterministic algorithms": str(torch.are_deterministic_algorithms_enabled()).lower(),
    }
    if torch.cuda.is_available():
        found |= {
            "GPU": torch.cuda.get_device_name(),
            "CUDA": str(torch.version.cuda),
            "cuDNN": str(cudnn.version()),
            "TF32": f"matmul {torch.backends.cuda.matmul.allow_tf32}, cuDNN {cudnn.allow_tf32}".lower(),
            "cuDNN deterministic, benchmark": f"{cudnn.deterministic}, {cudnn.benchmark}".lower(),
        }
    return found
