r"""The structure of an answer's tokens: lists before relations before unions, brackets, ratios, expressions.

Structure is found before any expression is parsed, so `(1,2)`, `1<x<2` and `x_1=1, x_2=2` are seen as what they are.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from capcurriculum.grading.notation import numbers
from capcurriculum.grading.notation.brackets import CLOSERS, OPENERS, closing, split_at, top, unwrapped
from capcurriculum.grading.notation.expression import parse
from capcurriculum.grading.notation.nodes import (
    ORDERED,
    SIGNS,
    Cases,
    Group,
    Measured,
    Name,
    Node,
    Ratio,
    Relation,
    Union,
    is_inequality,
    named,
)
from capcurriculum.grading.notation.tokens import Token, Words
from capcurriculum.grading.notation.tree import Broken, Number, Unread
from capcurriculum.grading.notation.unit_suffix import without_unit, written
from capcurriculum.grading.notation.vocabulary import NUMBER_WORDS, SCALES

_LIST_WORDS = frozenset(["and", "or"])
_MOST_ITEMS = 40


def structure(found: Sequence[Token]) -> Node:
    """The structure of tokens that hold no unit."""
    found = unwrapped(found)
    if not found:
        raise Broken("it is empty")
    for split in (_listed, _related, _united, _bracketed, _proportioned):
        node = split(found)
        if node is not None:
            return node
    scaled = _scaled(found)
    return scaled if scaled is not None else _expression(found)


def _listed(found: Sequence[Token]) -> Node | None:
    for signs in ((";",), (",", *_LIST_WORDS)):
        places = [p for p, t in top(found) if t.text.strip() in signs and t.kind in ("sign", "word", "text")]
        if not places:
            continue
        parts = [part for part in split_at(found, places) if part]
        if len(parts) > _MOST_ITEMS:
            raise Unread("a very long list")
        if len(parts) < 2:
            return structure(parts[0]) if parts else None
        items = tuple(_item(part) for part in parts)
        both = any(found[p].text.strip() == "and" for p in places) and all(map(is_inequality, items))
        return Group("and" if both else "", items)
    return None


def _item(found: Sequence[Token]) -> Node:
    """An item of a list or a side of a relation, which may have a unit of its own."""
    value, unit = without_unit(list(found), gold=False)
    node = structure(value)
    return node if unit is None else Measured(node, unit)


def _related(found: Sequence[Token]) -> Node | None:
    places = [place for place, token in top(found) if token.kind != "text" and token.text in SIGNS]
    if not places:
        return None
    sides = split_at(found, places)
    signs = tuple(SIGNS[found[place].text] for place in places)
    if not sides[0]:  # `> 5`, `= 5`
        sides[0] = [Token("text", "?")]
    if any(not side for side in sides):
        raise Broken("a relation lacks a side")
    first = _left_side(sides[0], signs[0]) if signs[0] in ("=", "≈", "in", *ORDERED) else _side(sides[0], signs[0])
    read_sides = [first, *(_side(side, sign) for side, sign in zip(sides[1:], signs, strict=True))]
    return Relation(tuple(read_sides), signs)


def _side(found: Sequence[Token], sign: str) -> Node:
    try:
        return _item(found)
    except (Words, Unread, Broken):
        if sign in ("=", "≈", *ORDERED):
            raise
        return Name(written(found).strip())


def _left_side(found: Sequence[Token], sign: str) -> Node:
    """The left side: a name where it names something, else as any side."""
    name = named(found)
    if name:
        return Name(name)
    try:
        return _side(found, sign)
    except Words:
        return Name(written(found).strip())


def _united(found: Sequence[Token]) -> Node | None:
    places = [place for place, token in top(found) if token.text in (r"\cup", r"\setminus", r"\backslash")]
    if not places:
        return None
    if any(found[place].text != r"\cup" for place in places):
        raise Unread("a difference of sets")
    return Union(tuple(structure(part) for part in split_at(found, places)))


def _bracketed(found: Sequence[Token]) -> Node | None:
    if len(found) > 1 and found[0].kind == "word" and found[1].text == "(":
        return _point(found)
    first, last = found[0].text, found[-1].text
    if found[0].text in (r"\emptyset", r"\varnothing") and len(found) == 1:
        return Group("{}", ())
    if first not in OPENERS or closing(found, 0) != len(found) - 1 or found[-1].text not in CLOSERS:
        return None
    inner = found[1:-1]
    if first == r"\{":
        described = [place for place, token in top(inner) if token.text in (r"\mid", ":", "|")] if inner else []
        if described and described[0] and inner[0].kind in ("word", "symbol"):  # {x | x > 2}
            return structure(inner[described[0] + 1 :])
        return Group("{}", _items(inner) if inner else ())
    items = _items(inner)
    if len(items) < 2:
        return structure(inner) if _plain(inner) else None
    brackets = {r"\langle": "(", "{": ""}.get(first, first) + {r"\rangle": ")", "}": ""}.get(last, last)
    return Group(brackets, items)


def _point(found: Sequence[Token]) -> Node | None:
    """`A(1,2)` as a name with what it stands for."""
    letter = found[0].text
    if len(letter) > 1 or not letter.isupper() or closing(found, 1) != len(found) - 1:
        return None
    point = _bracketed(found[1:])
    return Relation((Name(letter), point), ("=",)) if isinstance(point, Group) else None


def _plain(found: Sequence[Token]) -> bool:
    """Whether brackets around these tokens only group: a relation or a list inside them is read as such."""
    return any(token.text in SIGNS or token.text == r"\pm" for _, token in top(found))


def _items(found: Sequence[Token]) -> tuple[Node, ...]:
    places = [
        p for p, t in top(found) if t.text.strip() in (",", ";", *_LIST_WORDS) and t.kind in ("sign", "word", "text")
    ]
    parts = [part for part in split_at(found, places) if part]
    if len(parts) != len(places) + 1 and not all(t.text in _LIST_WORDS for _, t in top(found) if t.text in _LIST_WORDS):
        raise Broken("an item is missing")
    if len(parts) > _MOST_ITEMS:
        raise Unread("a very long list")
    return tuple(_spread([_item(part) for part in parts]))


def _spread(items: Sequence[Node]) -> Iterator[Node]:
    r"""Items with those of a `\pm` taken apart."""
    for item in items:
        if isinstance(item, Group) and item.brackets == "":
            yield from item.items
        else:
            yield item


def _proportioned(found: Sequence[Token]) -> Node | None:
    places = [place for place, token in top(found) if token.text == ":"]
    if not places:
        return None
    parts = split_at(found, places)
    if any(not part for part in parts):
        raise Broken("a ratio lacks a side")
    if all(len(part) == 1 and part[0].kind == "number" for part in parts):
        return Ratio(tuple(Number(Fraction(part[0].text)) for part in parts))
    return Ratio(tuple(parse(part) for part in parts))


def _scaled(found: Sequence[Token]) -> Node | None:
    """`3 million`, `2 dozen`, `seven`."""
    last = found[-1].text.strip().lower()
    if len(found) == 1:
        said = NUMBER_WORDS.get(last) if found[0].kind in ("word", "text") else None
        return None if said is None else Number(Fraction(said))
    if last in SCALES and found[-1].kind in ("word", "text"):
        value = numbers.read("".join(token.text for token in found[:-1]))
        return None if value is None else Number(value.value * SCALES[last], value.decimal)
    return None


def _expression(found: Sequence[Token]) -> Node:
    if found[0].kind == "begin" and found[0].text == "cases":
        return _cases(found)
    if any(token.text in (r"\pm", r"\mp") for token in found):
        return Group("", tuple(parse(_signed(found, sign)) for sign in ("+", "-")))
    return parse(found)


def _signed(found: Sequence[Token], sign: str) -> list[Token]:
    other = "-" if sign == "+" else "+"
    return [
        t._replace(kind="sign", text={r"\pm": sign, r"\mp": other}.get(t.text, t.text))
        if t.text in (r"\pm", r"\mp")
        else t
        for t in found
    ]


def _cases(found: Sequence[Token]) -> Cases | Group:
    if found[-1].kind != "end":
        raise Unread("something beside a piecewise definition")
    if not any(token.text == "&" for token in found):
        edges = [place for place, token in enumerate(found) if token.kind == "row"]
        lines = [line for line in split_at(found[1:-1], [edge - 1 for edge in edges]) if line]
        return Group("", tuple(_item([t for t in line if t.text != "," or t is not line[-1]]) for line in lines))
    rows: list[list[list[str]]] = [[[]]]
    for token in found[1:-1]:
        if token.kind == "row":
            rows.append([[]])
        elif token.text == "&":
            rows[-1].append([])
        elif token.text != ",":
            rows[-1][-1].append(SIGNS.get(token.text, token.text.strip()))
    return Cases(tuple(tuple("".join(cell) for cell in row if cell) for row in rows if any(row)))
