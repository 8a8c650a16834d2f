"""A tuple for the column of a matrix; matrices themselves are values of expressions."""

from collections.abc import Sequence

from capcurriculum.grading.comparators import expressions
from capcurriculum.grading.notation.nodes import Node
from capcurriculum.grading.notation.tree import Call, Number, Symbol, Tree


def column(items: Sequence[Node], matrix: Tree) -> bool | None:
    """A tuple for a column of a matrix."""
    if not all(isinstance(item, Number | Symbol | Call) for item in items):
        return False
    column = Call("matrix", tuple(Call("row", (item,)) for item in items))  # type: ignore[arg-type]
    return expressions.equal(column, matrix)
