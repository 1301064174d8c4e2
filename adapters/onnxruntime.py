"""onnxruntime: the two loss operators of ONNX, each as a model of one node, on the CPU and forward only.

ONNX Runtime runs models and differentiates none. A model is made for each rank, dtype and attribute, never for a shape
(docs/decisions/029-onnxruntime.md).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import helper

from conformance import Binding, Call, Environment, Output, Unsupported

Array = NDArray[Any]
Attributes = tuple[tuple[str, Any], ...]
Declared = tuple[tuple[str, int, int], ...]  # each input: its name, the number of its type in ONNX, its rank

OPSET = 13
PROVIDER = "CPUExecutionProvider"
MODE = "compiled"  # a session optimises the graph of its model before it runs, for all shapes at once

OPERATORS = {
    "cross_entropy": ("SoftmaxCrossEntropyLoss", {"input": "scores", "target": "labels", "weight": "weights"}),
    "nll": ("NegativeLogLikelihoodLoss", {"input": "input", "target": "target", "weight": "weight"}),
    "nll_2d": ("NegativeLogLikelihoodLoss", {"input": "input", "target": "target", "weight": "weight"}),
}

# How ONNX Runtime says that there is no kernel, or that the operator is not defined for a dtype.
REFUSALS = ("NOT_IMPLEMENTED", "INVALID_GRAPH : This is an invalid model. Type Error")


class Adapter:
    """SoftmaxCrossEntropyLoss and NegativeLogLikelihoodLoss of opset 13, by ONNX Runtime's CPU provider, one thread."""

    name = "onnxruntime"

    def environment(self) -> Environment:
        """The versions, and what can change the bits of a result."""
        return Environment(
            versions={"onnxruntime": ort.__version__, "onnx": onnx.__version__},
            dtypes=("float64", "float32", "bfloat16", "float16"),
            modes=(MODE,),
            compiles=(),
            flushes_subnormals=_flushes_subnormals(),
            details={
                "execution provider": PROVIDER,
                "opset": str(OPSET),
                "graph optimization": _options().graph_optimization_level.name,
                "threads": str(_options().intra_op_num_threads),
                "flush denormal": str(_flushes_subnormals()).lower(),
                "cpu features": " ".join(np.show_config(mode="dicts")["SIMD Extensions"]["found"]),
                "build": ort.get_build_info(),
            },
        )

    def binding(self, criterion: str) -> Binding | None:
        """The operator for `criterion`, which has no gradients here."""
        if criterion not in OPERATORS:
            return None
        return Binding(f"ai.onnx.{OPERATORS[criterion][0]}", gradients=())

    def run(self, call: Call) -> Output:
        """The value of one case."""
        if call.criterion not in OPERATORS:
            raise Unsupported(f"opset {OPSET} of ONNX has no operator for {call.criterion}")
        if call.device != "cpu" or call.mode != MODE or call.wrt:
            raise Unsupported(f"onnxruntime runs {MODE} models on the CPU here, and gives no gradients")
        arrays, attributes = _translated(call)
        declared = tuple(
            (name, helper.np_dtype_to_tensor_dtype(array.dtype), array.ndim) for name, array in arrays.items()
        )
        try:
            session = _session(OPERATORS[call.criterion][0], declared, attributes)
        except Exception as error:
            if any(refusal in str(error) for refusal in REFUSALS):
                raise Unsupported(str(error).strip()) from error
            raise
        return Output(session.run(None, arrays)[0])


def _translated(call: Call) -> tuple[dict[str, Array], Attributes]:
    """The operator's inputs and attributes. Where no label is the default of ignore_index, the attribute is left out:
    so one writes it who ignores nothing."""
    parameters = dict(call.parameters)
    if parameters.pop("label_smoothing", 0) != 0:
        raise Unsupported("SoftmaxCrossEntropyLoss has no label_smoothing")
    if call.inputs["input"].ndim == 1 and call.inputs["target"].ndim == 0:
        raise Unsupported(f"{OPERATORS[call.criterion][0]} takes a batch: [N, C] or [N, C, D1, D2, ..., Dk]")
    ignored = parameters["ignore_index"]
    if ignored == -100 and not (call.inputs["target"] == ignored).any():
        del parameters["ignore_index"]
    names = OPERATORS[call.criterion][1]
    return {names[name]: array for name, array in call.inputs.items()}, tuple(parameters.items())


@functools.lru_cache(maxsize=1024)
def _session(operator: str, declared: Declared, attributes: Attributes) -> ort.InferenceSession:
    """A session for a model of one node, whose first input has the type of its output."""
    node = helper.make_node(operator, [name for name, *_ in declared], ["loss"], **dict(attributes))
    inputs = [helper.make_tensor_value_info(name, type_, [None] * rank) for name, type_, rank in declared]
    loss = helper.make_tensor_value_info("loss", declared[0][1], None)
    graph = helper.make_graph([node], "loss", inputs, [loss])
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=helper.find_min_ir_version_for(opsets))
    return ort.InferenceSession(model.SerializeToString(), _options(), providers=[PROVIDER])


def _options() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # what is refused is raised, and need not be printed as well
    return options


def _flushes_subnormals() -> bool:
    pair = dict.fromkeys("xy", np.asarray(np.finfo(np.float32).smallest_subnormal))
    declared = tuple((name, helper.np_dtype_to_tensor_dtype(array.dtype), 0) for name, array in pair.items())
    return bool(_session("Add", declared, ()).run(None, pair)[0] == 0)
