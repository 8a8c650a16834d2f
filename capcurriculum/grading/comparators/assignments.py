r"""Names and what is assigned to them: `x = 5`, `f(x) = 2x`, `\angle A = 60^\circ`, `x = 1, y = 2`."""

import re
from collections.abc import Mapping, Sequence

from capcurriculum.grading.notation.nodes import Group, Name, Node, Relation
from capcurriculum.grading.notation.tree import Call, Number, Symbol, Tree, names


def is_name(node: Node) -> bool:
    """Whether a side of an equation is a name that the other side can be assigned to."""
    match node:
        case Name() | Symbol():
            return True
        case Call("apply"):
            return True
        case Call("segment"):
            return True
        case Group("()", items):
            return all(isinstance(item, Symbol) for item in items)
    return False


def left_side(item: Node) -> Node | None:
    """What an item is assigned to; None where it is no relation."""
    return item.sides[0] if isinstance(item, Relation) else None


def ordered(items: Sequence[Node]) -> bool:
    """Whether these are assignments to names that differ by more than an index."""
    lefts = [left_side(item) for item in items]
    if not all(isinstance(left, Symbol | Name) for left in lefts):
        return False
    bases = {re.sub(r"_.*|\d|'", "", left.name if isinstance(left, Symbol) else str(left)) for left in lefts}
    return len(bases) > 1


def values(items: Sequence[Node]) -> list[Node]:
    """Items without the names they are assigned to; a list of assignments inside a list is a tuple."""
    found: list[Node] = []
    for item in items:
        if isinstance(item, Relation) and set(item.signs) == {"="} and is_name(item.sides[0]):
            item = item.sides[-1]
        elif isinstance(item, Group) and item.brackets == "" and ordered(item.items):
            item = Group("()", tuple(values(item.items)))
        found += item.items if isinstance(item, Group) and item.brackets == "" else [item]
    return found


def same_name(one: Node, other: Node) -> bool:
    """Whether two left sides may name one thing: the same name, or words or a function for a symbol."""
    if one == other:
        return True
    if not (is_name(one) and is_name(other)) or not (isinstance(one, Name) or isinstance(other, Name)):
        return False
    (head, args), (other_head, other_args) = _function(one), _function(other)
    if any(isinstance(side, Call) and side.name == "apply" for side in (one, other)):
        return False  # `f(x^2)` for `f(x)`
    if head and other_head:
        fits = len(set(args)) == len(args) == len(other_args) and all(
            re.fullmatch(r"\\?[A-Za-z]+", arg) for arg in args
        )
        return head == other_head and fits
    if isinstance(one, Name) and isinstance(other, Name) and len(one.text) == len(other.text) == 1:
        return False  # two points
    return all(not isinstance(side, Symbol) or side.name not in (*args, *other_args) for side in (one, other))


def _function(side: Node) -> tuple[str, list[str]]:
    """Name and arguments of `f(x, y)`; ("", []) of all else."""
    head, bracket, args = side.text.partition("(") if isinstance(side, Name) else ("", "", "")
    return (head, args.rstrip(")").replace(" ", "").split(",")) if bracket else ("", [])


def renamed(value: Node, given: Node, gold: Node) -> Node:
    """`t^2` of `f(t)` as `x^2` where the gold answer says `f(x)`; nothing where `x` means something else there."""
    names_of = dict(zip(_function(given)[1], _function(gold)[1], strict=False))
    if not isinstance(value, Number | Symbol | Call) or all(old == new for old, new in names_of.items()):
        return value
    taken = set(names_of.values()) - names_of.keys()
    return Name("?") if names(value) & taken else _with_names(value, names_of)


def _with_names(tree: Tree, names_of: Mapping[str, str]) -> Tree:
    if isinstance(tree, Symbol):
        return Symbol(names_of.get(tree.name, tree.name))
    return Call(tree.name, tuple(_with_names(one, names_of) for one in tree.args)) if isinstance(tree, Call) else tree
