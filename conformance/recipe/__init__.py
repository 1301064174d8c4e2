"""Recipe: a spec's formula as code that a framework runs, readable enough to paste into a project."""

from conformance.recipe.dialect import Dialect
from conformance.recipe.dialects import DIALECTS
from conformance.recipe.function import Unprintable, recipe

__all__ = ["DIALECTS", "Dialect", "Unprintable", "recipe"]
