"""The project of a folder: its recipe, its lock's hash, its names."""

import os
from typing import NamedTuple

from gpudock.env import naming, recipe_file
from gpudock.env.naming import Names
from gpudock.env.recipe import Recipe


class Project(NamedTuple):
    folder: str  # absolute, links resolved
    recipe: Recipe
    names: Names


def load(folder: str, uid: int) -> Project:
    """Raises InputError when there is no recipe, or a broken one."""
    here = os.path.realpath(folder)
    recipe = recipe_file.load(here)
    return Project(here, recipe, naming.names(recipe.name, uid=uid, folder=here))


def user_inside(recipe: Recipe, owner_name: str) -> str:
    return recipe.user.name or naming.cleaned(owner_name)[:32]
