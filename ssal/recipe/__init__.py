"""Recipes: one YAML file says everything about a run, and is checked as a whole before anything starts."""

from ssal.recipe.arm import Arm, Recipe, differences
from ssal.recipe.loading import load
from ssal.recipe.schema import schema

__all__ = ["Arm", "Recipe", "differences", "load", "schema"]
