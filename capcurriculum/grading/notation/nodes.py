r"""What an answer can be beside a bare expression: a relation, a group of items, a union, a ratio, cases."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from capcurriculum.grading.notation.tokens import Token, is_product
from capcurriculum.grading.notation.tree import Call, Number, Symbol, Tree
from capcurriculum.grading.notation.units import Unit
from capcurriculum.grading.notation.vocabulary import FUNCTIONS, LETTERS, NAMES

SIGNS = {
    "=": "=", "==": "=", r"\approx": "≈", r"\simeq": "≈", r"\doteq": "≈", "<": "<", r"\lt": "<", ">": ">", r"\gt": ">",
    "<=": "<=", r"\le": "<=", r"\leq": "<=", r"\leqslant": "<=", ">=": ">=", r"\ge": ">=", r"\geq": ">=",
    r"\geqslant": ">=", "!=": "!=", r"\ne": "!=", r"\neq": "!=", r"\in": "in", r"\perp": "perp",
    r"\parallel": "parallel", r"\mid": "mid",
    r"\nmid": "nmid", r"\sim": "sim", r"\cong": "cong", r"\equiv": "equiv", r"\subset": "subset",
    r"\subseteq": "subset=", r"\to": "to", r"\rightarrow": "to", r"\Rightarrow": "implies", r"\implies": "implies",
}  # fmt: skip
ORDERED = frozenset(["<", ">", "<=", ">="])
_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Name:
    r"""The left side of an assignment that is no expression: `\text{Area}`, `f(x)`, `S_{ABC}:S`, `|AB|`."""

    text: str


@dataclass(frozen=True, slots=True)
class Relation:
    """`sides` joined by `signs`, one fewer."""

    sides: tuple["Node", ...]
    signs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    r"""Items in brackets: `()`, `[)`, ..., `{}` for a set, "" for a bare list, "and" for inequalities that all hold."""

    brackets: str
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Union:
    """Intervals and sets joined by a union sign."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Ratio:
    """`2:3`, `1:2:3`, a time of day."""

    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Cases:
    """The rows of a piecewise definition or a system, each a tuple of normalised cells."""

    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Measured:
    """An item or side with a unit of its own, inside something larger."""

    node: "Node"
    unit: Unit


Node = Number | Symbol | Call | Name | Relation | Group | Union | Ratio | Cases | Measured

REALS = Symbol(r"\mathbb R")


def flipped(sign: str) -> str:
    """The sign with its sides exchanged."""
    return _FLIPPED.get(sign, sign)


def is_inequality(node: Node) -> bool:
    """Whether a node is a relation of order."""
    return isinstance(node, Relation) and bool(set(node.signs) & ORDERED)


def named(found: Sequence[Token]) -> str:
    r"""What tokens name; "" for an expression.

    Words, `f(x)`, `|AB|`, `\angle A`, `m\angle A`, `\frac{AB}{CD}` and `S_1:S_2` are names.
    """
    texts = [token.text for token in found]
    if all(token.kind in ("word", "text") for token in found):
        whole = " ".join(texts)
        return "" if len(found) == 1 and found[0].kind == "word" and is_product(whole, among=found[0].among) else whole
    applied = re.fullmatch(r"(\\?[A-Za-z]+)'{0,2}(_\{?\w+\}?)?\([\\A-Za-z0-9, ]*\)", "".join(texts))
    if applied and (applied[1][0] != "\\" or applied[1][1:] in LETTERS) and applied[1] not in FUNCTIONS | NAMES.keys():
        return "".join(texts)
    if texts[0] == "|" and texts[-1] == "|" and len(texts) == 3 and len(texts[1]) == 2 and texts[1].isupper():
        return "".join(texts)
    if any(text in (r"\angle", r"\triangle", r"\overline") for text in texts):
        return "".join(texts) if all(t.kind != "number" and t.text not in "+-*/" for t in found) else ""
    fraction = re.fullmatch(r"\\frac\{([A-Z]{2})\}\{([A-Z]{2})\}|([A-Z]{2})/([A-Z]{2})", "".join(texts))
    if fraction or re.fullmatch(r"[A-Za-z]\w*(?:_?\{\w+\})?(?::[A-Za-z]\w*(?:_?\{\w+\})?)+", "".join(texts)):
        return "".join(texts)
    return ""
