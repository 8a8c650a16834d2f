"""Ratios: `4:6` is `2:3` and the fraction two thirds; a time of day with a zero is only itself."""

from capcurriculum.grading.comparators import expressions
from capcurriculum.grading.comparators.lists import all_equal
from capcurriculum.grading.notation.nodes import Node, Ratio
from capcurriculum.grading.notation.tree import Call, Number, Tree, has_decimal, names


def equal(given: Node, gold: Ratio) -> bool | None:
    """Whether `given` is in proportion to `gold`."""
    if isinstance(given, Ratio):
        if len(given.parts) != len(gold.parts):
            return False
        if any(isinstance(part, Number) and part.value == 0 for part in (*given.parts, *gold.parts)):
            return given == gold
        first, gold_first = given.parts[0], gold.parts[0]
        return all_equal(
            expressions.equal(Call("mul", (one, gold_first)), Call("mul", (other, first)))
            for one, other in zip(given.parts[1:], gold.parts[1:], strict=True)
        )
    if isinstance(given, Number | Call) and len(gold.parts) == 2 and not has_decimal(given):
        return expressions.equal(given, Call("div", gold.parts))
    return False


def is_fraction(given: Ratio, gold: Tree) -> bool | None:
    """Whether a ratio of two is the fraction `gold`; a whole number and a decimal are no ratios."""
    whole = isinstance(gold, Number) and gold.value.denominator == 1
    if len(given.parts) != 2 or whole or has_decimal(gold) or names(gold):
        return False
    return expressions.equal(Call("div", given.parts), gold)
