r"""Expression trees, and what can keep a text from being one."""

from dataclasses import dataclass
from fractions import Fraction


class Broken(ValueError):
    """No mathematics can be read: a brace is open, an operator lacks its operand, two numbers stand side by side."""


class Unread(ValueError):
    """It is mathematics, with a sign that this reader does not know."""


class Unevaluated(Unread):
    """An integral, sum, product or limit is still to be carried out."""


@dataclass(frozen=True, slots=True)
class Number:
    """A literal; `decimal` when it was written with a decimal point or an exponent."""

    value: Fraction
    decimal: bool = False


@dataclass(frozen=True, slots=True)
class Symbol:
    r"""A name that stands for a value: `x`, `x_1`, `\theta`, `\vec{a}`, `506_7`, `AB`."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """An operation or function on trees."""

    name: str
    args: tuple["Tree", ...]


Tree = Number | Symbol | Call


def names(tree: Tree) -> frozenset[str]:
    """The symbols that a tree depends on, without the constants `e` and `i`."""
    if isinstance(tree, Symbol):
        return frozenset() if tree.name in ("e", "i") else frozenset([tree.name])
    if isinstance(tree, Call):
        return frozenset().union(*(names(one) for one in tree.args))
    return frozenset()


def has_decimal(tree: Tree) -> bool:
    """Whether a literal of the tree was written with a decimal point."""
    if isinstance(tree, Call):
        return any(has_decimal(one) for one in tree.args)
    return isinstance(tree, Number) and tree.decimal


def is_matrix(node: object) -> bool:
    """Whether a matrix stands in an expression."""
    return isinstance(node, Call) and (node.name == "matrix" or any(is_matrix(one) for one in node.args))
