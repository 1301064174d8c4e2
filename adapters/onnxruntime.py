"""onnxruntime: the two loss operators of ONNX, each as a model of one node, on the CPU and forward only.

ONNX Runtime runs models and differentiates none. A session is made for each rank, dtype and attribute, never for a
shape (docs/decisions/029-onnxruntime.md).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnxruntime as ort
from numpy.typing import NDArray

from conformance import Binding, Call, Environment, Output, Unsupported, cpu_features

Array = NDArray[Any]
Arrays = Mapping[str, Array]

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
                "cpu features": cpu_features(),
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
        try:
            session = _session(_model(OPERATORS[call.criterion][0], arrays, attributes))
        except Exception as error:
            if any(refusal in str(error) for refusal in REFUSALS):
                raise Unsupported(str(error).strip()) from error
            raise
        return Output(session.run(None, dict(arrays))[0])

    def script(self, call: Call) -> str:
        """The call as one writes it for ONNX Runtime; `$NAME` stands for the numbers of an input (docs/adapters.md)."""
        arrays, attributes = _translated(call)
        lines = ["import numpy as np", "import onnx.parser", "import onnxruntime"]
        for given, (name, array) in zip(call.inputs, arrays.items(), strict=True):
            numbers = array.tolist() if array.dtype.kind in "iub" else f"${given}"
            more = f".reshape{array.shape}" * (not array.size)
            lines.append(f"{name} = np.array({numbers}, np.{array.dtype}){more}")
        return "\n".join(
            [
                *lines,
                f"model = onnx.parser.parse_model({_model(OPERATORS[call.criterion][0], arrays, attributes)!r})",
                f'session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["{PROVIDER}"])',
                f"got = session.run(None, {{{', '.join(f'{name!r}: {name}' for name in arrays)}}})[0].tolist()",
            ]
        )


def _translated(call: Call) -> tuple[Arrays, dict[str, Any]]:
    """The operator's inputs and attributes. Where no label is the default of ignore_index, the attribute is left out:
    so one writes it who ignores nothing."""
    operator, names = OPERATORS[call.criterion]
    attributes = dict(call.parameters)
    if attributes.pop("label_smoothing", 0) != 0:
        raise Unsupported(f"{operator} has no label_smoothing")
    if call.inputs["input"].ndim == 1 and call.inputs["target"].ndim == 0:
        raise Unsupported(f"{operator} takes a batch: [N, C] or [N, C, D1, D2, ..., Dk]")
    if attributes["ignore_index"] == -100 and not (call.inputs["target"] == -100).any():
        del attributes["ignore_index"]
    return {names[name]: array for name, array in call.inputs.items()}, attributes


def _model(operator: str, arrays: Arrays, attributes: Mapping[str, Any]) -> str:
    """A model of one node, in ONNX's own text: inputs of these types and ranks, of any size, and a loss of the first
    one's type."""
    types = {name: onnx.helper.np_dtype_to_tensor_dtype(array.dtype) for name, array in arrays.items()}
    types = {name: onnx.TensorProto.DataType.Name(number).lower() for name, number in types.items()}
    shapes = {name: f"[{', '.join('?' * array.ndim)}]" * (array.ndim > 0) for name, array in arrays.items()}
    inputs = ", ".join(f"{types[name]}{shapes[name]} {name}" for name in arrays)
    given = f"<{', '.join(f'{name} = {json.dumps(x)}' for name, x in attributes.items())}>" * bool(attributes)
    head = f'<ir_version: 7, opset_import: ["": {OPSET}]> model ({inputs}) => ({next(iter(types.values()))}[] loss)'
    return f"{head} {{ loss = {operator} {given} ({', '.join(arrays)}) }}"


@functools.lru_cache(maxsize=1024)
def _session(model: str) -> ort.InferenceSession:
    return ort.InferenceSession(onnx.parser.parse_model(model).SerializeToString(), _options(), providers=[PROVIDER])


def _options() -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # what is refused is raised, and need not be printed as well
    return options


def _flushes_subnormals() -> bool:
    pair = dict.fromkeys("xy", np.asarray(np.finfo(np.float32).smallest_subnormal))
    return bool(_session(_model("Add", pair, {})).run(None, pair)[0] == 0)
