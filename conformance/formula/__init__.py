"""Formula: the text of a formula as an expression tree, and the rules of differentiation. It knows no numbers."""

from conformance.formula.node import Node, dims_of, names_in
from conformance.formula.parse import Builder, parse_expression, parse_program
from conformance.formula.syntax import statements

__all__ = ["Builder", "Node", "dims_of", "names_in", "parse_expression", "parse_program", "statements"]
