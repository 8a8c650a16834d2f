r"""Lists, sets and tuples, and the intervals that are written like them.

A list is compared without order and with its repeats; a tuple in order. `x=1, y=2` is a tuple, since its names say
which value is which; `x_1=1, x_2=2` and `x=1 \text{ or } x=2` are lists.
"""

from collections.abc import Callable, Iterable, Sequence

from capcurriculum.grading.comparators import intervals
from capcurriculum.grading.comparators.assignments import is_name, left_side, ordered, values
from capcurriculum.grading.comparators.matrices import column
from capcurriculum.grading.notation.nodes import REALS, Group, Node, Relation, Union, is_inequality
from capcurriculum.grading.notation.tree import Call, is_matrix

Equal = Callable[[Node, Node], bool | None]


def equal(given: Node, gold: Group, same: Equal) -> bool | None:
    """Whether `given` is the group `gold`, their items compared by `same`; None when it cannot be known."""
    if isinstance(given, Relation):
        return _related(given, gold, same)
    if gold.brackets == "and":
        return intervals.equal(given, gold) or False
    if gold.brackets in ("", "{}"):
        return _collection(given, gold, same)
    if isinstance(given, Group) and given.brackets == gold.brackets:
        return in_order(given.items, gold.items, same)
    if isinstance(given, Group) and given.brackets == "" and gold.brackets == "()":
        return in_order(values(given.items), gold.items, same)
    if isinstance(given, Call) and is_matrix(given) and gold.brackets == "()":
        return column(gold.items, given)
    relations = isinstance(given, Group) and all(isinstance(item, Relation) for item in given.items)
    if relations or isinstance(given, Union) or given == REALS or gold.brackets not in ("()", "[]"):
        return bool(intervals.equal(given, gold))
    return False


def _related(given: Relation, gold: Group, same: Equal) -> bool | None:
    r"""`x = \{1,2\}`, `(x,y) = (1,2)`, `1 < x < 2` and `x = y = 1` for a group."""
    if set(given.signs) != {"="}:
        return intervals.equal(given, gold) or False
    first, *_, last = given.sides
    if gold.brackets == "()" and len(given.sides) == len(gold.items) + 1 and all(map(is_name, given.sides[:-1])):
        return all_equal(same(last, item) for item in gold.items)
    return same(last, gold) if isinstance(first, Group) or is_name(first) else False


def _collection(given: Node, gold: Group, same: Equal) -> bool | None:
    """Lists and sets: the same items, as often, in any order unless their names say which is which."""
    if isinstance(given, Union):
        return bool(intervals.equal(given, gold))
    items = given.items if isinstance(given, Group) else (given,)
    brackets = given.brackets if isinstance(given, Group) else ""
    if any(map(is_inequality, gold.items)):
        return bool(intervals.equal(given, gold)) or _matched(items, gold.items, same)
    if brackets not in ("", "{}"):
        return gold.brackets == "" and brackets in ("()", "[]") and in_order(items, values(gold.items), same)
    if ordered(gold.items):
        return brackets != "{}" and _by_name(items, gold.items, same)
    return len(items) == len(gold.items) and _matched(values(items), values(gold.items), same)


def _by_name(items: Sequence[Node], gold: Sequence[Node], same: Equal) -> bool | None:
    """Assignments to different names: by name where the answer has the same names, in order where it has none."""
    wanted = {left_side(item): item for item in gold}
    named = {left_side(item): item for item in items}
    if wanted.keys() == named.keys() and len(wanted) == len(items) == len(gold):
        return all_equal(same(values([named[key]])[0], values([wanted[key]])[0]) for key in wanted)
    return None in named and in_order(values(items), values(gold), same)


def in_order(items: Sequence[Node], gold: Sequence[Node], same: Equal) -> bool | None:
    """Whether two sequences are equal item by item."""
    return len(items) == len(gold) and all_equal(map(same, items, gold))


def all_equal(verdicts: Iterable[bool | None]) -> bool | None:
    """False if one verdict is, None if one is not known, else True."""
    unknown = False
    for verdict in verdicts:
        if verdict is False:
            return False
        unknown |= verdict is None
    return None if unknown else True


def _matched(items: Sequence[Node], gold: Sequence[Node], same: Equal) -> bool:
    """Whether the items can be paired off."""
    left = list(items)
    for wanted in gold:
        place = next((place for place, one in enumerate(left) if same(one, wanted)), None)
        if place is None:
            return False
        del left[place]
    return not left
