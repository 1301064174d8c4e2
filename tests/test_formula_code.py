"""The printed code of formulas, run exactly as printed."""

from __future__ import annotations

import ast
import dataclasses
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from conformance import Binding, Call, Environment, Unsupported, load_adapter
from conformance.adapter.formula import function_of
from conformance.cli import main
from conformance.formula import Builder, Node, dims_of, parse_expression
from conformance.formula.node import walk
from conformance.recipe import DIALECTS, Unprintable, recipe
from conformance.recipe.contexts import Contexts
from conformance.spec import load_specs, spec_for, specs_folder
from conformance.suite.edges import edge_case
from conformance.suite.formula import in_mode
from conformance.suite.options import Options
from conformance.suite.plan import make_plan
from conformance.suite.run import judge_cell
from conformance.verdict.entries import Entry
from tests.calls import check_formula_by_reference, formula_answer, formula_edges

SPECS = load_specs([specs_folder()])


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("criterion", SPECS)
def test_every_formula_is_printed_in_every_dialect(criterion: Any, dialect: Any) -> None:
    code = recipe(SPECS[criterion], DIALECTS[dialect])
    tree = ast.parse(code)
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert criterion in defined
    neutral = set(DIALECTS[dialect].words)
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    # max is Python's of two numbers; every other neutral word has been said in the framework's words
    assert not (called & neutral) - {"max", "sum", "abs", "min"}
    assert called <= defined | {"max", "min", "abs", "range", "ValueError", "len", "isinstance", "tuple"}


def test_printing_needs_no_framework(capsys: Any) -> None:
    code = (
        "import sys; from conformance.cli import main; main(['show', 'cross_entropy', '--as', 'jax']);"
        "assert not {'jax', 'torch', 'tensorflow', 'mlx', 'paddle', 'keras'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == recipe(SPECS["cross_entropy"], DIALECTS["jax"])


def test_an_unknown_dialect_is_told(capsys: Any) -> None:
    assert main(["show", "huber", "--as", "torhc"]) == 4
    assert "did you mean 'torch'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("dialect", "criterion", "lines"),
    [
        ("paddle", "ranking_softmax", ["taken = _equal(gain, 0)", "return (x <= y) & (x >= y)"]),
        ("torch", "ranking_softmax", ["taken = gain == 0"]),
        ("paddle", "cross_entropy", ["taken = kept & paddle.to_tensor(label_smoothing > 0)"]),
        ("mlx", "cross_entropy", ["kept = target != ignore_index", "w = _where(kept, ", "@_choice.vjp", "@_exp.vjp"]),
        ("jax", "cross_entropy", ["taken = kept & (label_smoothing > 0)"]),
        ("keras", "cross_entropy", ["ops.max(x, axis=axis, keepdims=True) if math.prod(x.shape) else ops.sum(x"]),
        ("paddle", "squared_hinge", ["loss = _power(_maximum(1 - lead, 0), 2)"]),
        ("torch", "squared_hinge", ["loss = torch.clamp(1 - lead, min=0) ** 2"]),
        ("mlx", "gaussian_nll", ["_divide((input - target) ** 2, v)", "slope = cotangent / primals[1]"]),
    ],
)
def test_what_a_framework_has_not_right_is_said_by_a_helper(dialect: Any, criterion: Any, lines: Any) -> None:
    """And only in that framework: an equality of floats, a power, a quotient, a branch."""
    code = recipe(SPECS[criterion], DIALECTS[dialect])
    assert [line for line in lines if line not in code] == []


@pytest.mark.parametrize("dialect", DIALECTS)
def test_no_helper_calls_what_it_stands_for(dialect: Any) -> None:
    """`exp` within mlx's `_exp` would be `_exp` again."""
    found = DIALECTS[dialect]
    for criterion in SPECS:
        for node in ast.parse(recipe(SPECS[criterion], found)).body:
            if isinstance(node, ast.FunctionDef) and node.name in found.helpers:
                called = {
                    item.func.id
                    for item in ast.walk(node)
                    if isinstance(item, ast.Call) and isinstance(item.func, ast.Name)
                }
                assert node.name not in called


@pytest.mark.parametrize(("spec", "edge"), list(formula_edges()))
def test_printed_code_meets_every_edge_case(spec: Any, edge: Any) -> None:
    """As a user runs it: the text, a namespace, a call by name."""
    torch = pytest.importorskip("torch")
    namespace: dict[str, Any] = {}
    exec(recipe(spec, DIALECTS["torch"]), namespace)
    case = edge_case(edge, spec, "float64")
    given = {name: torch.from_numpy(array.copy()) for name, array in case.inputs.items()}
    wrt = [given[name].requires_grad_() for name in edge.gradient]
    value = namespace[spec.name](**given, **case.parameters)
    gradients = torch.autograd.grad(value.sum(), wrt, materialize_grads=True) if wrt else ()
    if edge.value is not None:
        np.testing.assert_allclose(value.detach().numpy(), np.array(edge.value, float), rtol=1e-13, atol=1e-15)
    for name, gradient in zip(edge.gradient, gradients, strict=True):
        np.testing.assert_allclose(gradient.numpy(), np.array(edge.gradient[name], float), rtol=1e-13, atol=1e-15)


POISON: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {  # what a branch that is not taken must not see
    "huber": ({"input": [np.inf, 1.0], "target": [0.0, 0.5]}, {}, "input"),
    "cross_entropy": ({"input": [[np.nan, np.inf], [1.0, 2.0]], "target": [-100, 0]}, {}, "input"),
    "kl_div": ({"input": [-np.inf, -1.0], "target": [0.0, 0.5]}, {}, "input"),
    "bce": ({"input": [0.0, 1.0, 0.5], "target": [0.0, 1.0, 1.0]}, {}, "input"),
    "poisson_nll": ({"input": [1.0, 2.0], "target": [0.0, 3.0]}, {"full": True}, "target"),
    "ctc": (
        {
            "log_probs": [[[np.nan, 0.0]] * 3, [[0.0, 0.0]] * 3, [[0.0, 0.0]] * 3],
            "targets": [[0, 0], [0, 0], [0, 0]],
            "input_lengths": [0, 1, 2],
            "target_lengths": [1, 2, 2],
        },
        {"blank": 1, "zero_infinity": True},
        "log_probs",
    ),
    "multilabel_margin": ({"input": [[np.inf, np.inf, 0.0]], "target": [[0, 1, -1]]}, {}, "input"),
}


@pytest.mark.parametrize("criterion", POISON)
def test_a_branch_that_is_not_taken_poisons_no_gradient(criterion: Any) -> None:
    pytest.importorskip("torch")
    inputs, parameters, by = POISON[criterion]
    found = formula_answer(load_adapter("torch"), criterion, inputs, (by,), **parameters, reduction="sum")
    assert not np.isnan(found.gradients[by]).any()


def test_without_the_cut_the_gradient_is_poisoned() -> None:
    """The test above can fail: the same code without its masks answers NaN."""
    torch = pytest.importorskip("torch")
    code = recipe(SPECS["huber"], DIALECTS["torch"])
    assert "torch.where(taken, error, 1)" in code
    namespace: dict[str, Any] = {}
    exec(code.replace("torch.where(taken, error, 1)", "error"), namespace)
    x = torch.tensor([torch.inf], dtype=torch.float64, requires_grad=True)
    value = namespace["huber"](x, torch.zeros(1, dtype=torch.float64), reduction="sum")
    assert torch.autograd.grad(value, x)[0].isnan().all()


def cuts_of(root: Node) -> Contexts:
    """For inputs x and y of one axis, C."""
    static = {id(node) for node in walk(root) if node.op == "const"}
    dims = {"x": ("C",), "y": ("C",)}
    return Contexts([root], static, set(), dims, lambda node: frozenset(dims_of(node, dims, lambda dim: (dim,))))


def test_cuts_are_made_where_a_slope_may_be_infinite_and_nowhere_else() -> None:
    root = parse_expression("where(x > 0, log(x) + y, 2 * y)", Builder())
    contexts = cuts_of(root)
    (condition, plus, double) = root.args
    (log, y) = plus.args
    assert contexts.cut(log, log.args[0]) == ((condition, True),)
    assert contexts.cut(plus, y) == ()
    assert contexts.cut(double, y) == ()


@pytest.mark.parametrize("gathered", ["rename(x, C, K)", "max(x, over=C)", "sum(x)"])
def test_a_cut_is_made_above_what_looks_at_other_places(gathered: str) -> None:
    """x at C is not what y > 0 at C speaks of: a copy of x, or a maximum, sees it from all other places."""
    root = parse_expression(f"sum(where(y > 0, exp({gathered} - x), 0), over=C)", Builder())
    contexts = cuts_of(root)
    (where,) = root.args
    condition, (minus,) = where.args[0], where.args[1].args
    copy, x = minus.args
    assert contexts.cut(minus, copy) == contexts.cut(minus, x) == ((condition, True),)
    assert contexts.cut(copy, x) == ()


def test_a_sigmoid_keeps_its_slope_where_it_is_nearly_1() -> None:
    torch = pytest.importorskip("torch")
    namespace: dict[str, Any] = {}
    exec(recipe(SPECS["dice"], DIALECTS["torch"]), namespace)
    x = torch.tensor([-800.0, -50, 0, 50, 800], dtype=torch.float64, requires_grad=True)
    got = torch.autograd.grad(namespace["_sigmoid"](x).sum(), x)[0].numpy()
    small = 1.9287498479639178e-22  # exp(-50) / (1 + exp(-50))^2, as exp(-50) is 1.92874984796391778e-22
    np.testing.assert_allclose(got, [0, small, 0.25, small, 0], rtol=1e-15, atol=0)


@pytest.mark.parametrize("criterion", ["soft_margin", "triplet_margin", "cross_entropy", "ctc"])
def test_mode_formula_runs_the_printed_code(criterion: Any) -> None:
    """Through the adapter, against the reference."""
    pytest.importorskip("torch")
    check_formula_by_reference(load_adapter("torch"), criterion)


@pytest.mark.parametrize(
    ("criterion", "change"),
    [
        ("cross_entropy", {"target": np.array([0, 1, 2])}),
        ("cross_entropy", {"weight": np.ones(3)}),
        ("huber", {"target": np.ones((2, 1))}),
        ("multilabel_margin", {"target": np.zeros((2, 1), int)}),
    ],
)
def test_shapes_that_do_not_fit_are_refused(criterion: Any, change: Any) -> None:
    torch = pytest.importorskip("torch")
    whole = {"cross_entropy": np.zeros(2, int), "huber": np.zeros((2, 2)), "multilabel_margin": np.zeros((2, 2), int)}
    given = {"input": np.zeros((2, 2)), "target": whole[criterion], **change}
    namespace: dict[str, Any] = {}
    exec(recipe(SPECS[criterion], DIALECTS["torch"]), namespace)
    with pytest.raises(ValueError, match="does not fit"):
        namespace[criterion](**{name: torch.from_numpy(array) for name, array in given.items()})


def test_a_call_without_code_is_unsupported() -> None:
    with pytest.raises(Unsupported, match="no code"):
        function_of(Call("huber", {}, {}, "float64", mode="formula"))


def test_formula_cells_are_planned_where_there_is_no_function_or_where_asked() -> None:
    pytest.importorskip("torch")
    options = Options(frameworks=("torch",), dtypes=("float64",))
    plain = make_plan(options)
    assert {cell.mode for cell in plain.cells if cell.criterion in {"huber", "ctc"}} == {"eager"}
    assert not [cell for cell, _ in plain.skipped if cell.mode == "formula" and cell.criterion in {"huber", "ctc"}]
    asked = make_plan(dataclasses.replace(options, modes=("formula",)))
    assert {cell.criterion for cell in asked.cells} == set(SPECS)
    assert {cell.mode for cell in asked.cells} == {"formula"}
    # without a native function, the formula stands in by default
    plain.frameworks["torch"].adapter._functions["huber"] = None  # type: ignore[attr-defined]
    again = make_plan(options, lambda name, specs: plain.frameworks["torch"].adapter)
    assert {cell.mode for cell in again.cells if cell.criterion == "huber"} == {"eager", "formula"}


class Compiling:
    """The embedded formulas, said to be compiled; and the numbers that came."""

    name = "mine"

    def __init__(self, mode: str) -> None:
        self.mode, self.deltas, self._numpy = mode, set[float](), load_adapter("numpy")

    def environment(self) -> Environment:
        return Environment({"mine": "1.0"}, modes=(self.mode,), compiles=(self.mode,), dialect="jax")

    def binding(self, criterion: str) -> Binding | None:
        return self._numpy.binding(criterion)

    def run(self, call: Call) -> Any:
        self.deltas.add(call.parameters["delta"])
        return self._numpy.run(dataclasses.replace(call, mode="formula"))


@pytest.mark.parametrize("mode", ["compiled", "formula"])
def test_a_compiled_formula_is_given_no_number_that_is_drawn(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its numbers are constants: each would be compiled."""
    monkeypatch.setattr("conformance.suite.run._named", lambda judge, seed: [])
    options = Options(frameworks=("mine",), criteria=("huber",), dtypes=("float64",), modes=(mode,), effort="quick")
    adapter = Compiling(mode)
    plan = make_plan(options, lambda name, specs: adapter)
    judge_cell(plan, plan.cells[0])
    drawn = adapter.deltas - set(SPECS["huber"].params["delta"].levels)
    assert (drawn == set()) == (mode == "formula")


def test_what_is_known_of_a_function_is_not_known_of_its_formula() -> None:
    known = {
        "versions": ">=0",
        "kind": "wrong",
        "envelope": {"ulp": 1},
        "reason": "a reason of twenty characters",
        "owner": "us",
        "witness": {"dtype": "float64", "check": "value"},
    }
    for mode, native, formula in (("*", True, False), ("formula", False, True)):
        entry = Entry.model_validate({"id": "x", "checks": f"huber/torch/*/{mode}/*/value", **known})
        assert entry.matches("huber/torch/cpu/eager/float32/value") is native
        assert entry.matches("huber/torch/cpu/formula/float32/value") is formula


def test_the_code_crosses_to_another_interpreter() -> None:
    pytest.importorskip("torch")
    spec = spec_for("huber")
    worker = load_adapter(f"torch@{sys.executable}")
    try:
        environment = worker.environment()
        assert environment.dialect == "torch"
        call = Call("huber", {"input": np.ones(2), "target": np.zeros(2)}, {"delta": 1, "reduction": "sum"}, "float64")
        output = in_mode(worker, spec, "formula", environment).run(
            dataclasses.replace(call, mode="formula", wrt=("input",))
        )
        assert output.value == 1
        assert output.gradients["input"].tolist() == [1, 1]
    finally:
        worker.close()  # type: ignore[attr-defined]


def test_what_cannot_be_said_says_why() -> None:
    dims = SPECS["huber"].dims
    spec = dataclasses.replace(SPECS["huber"], dims={**dims, "T": dataclasses.replace(dims["S"], name="T")})
    with pytest.raises(Unprintable, match="more than one star dim"):
        recipe(spec, DIALECTS["torch"])
