r"""The unit at the end of an answer, or the currency before it, told from symbols by its typesetting."""

from collections.abc import Sequence

from capcurriculum.grading.notation import units
from capcurriculum.grading.notation.tokens import Token
from capcurriculum.grading.notation.units import Unit
from capcurriculum.grading.notation.vocabulary import FUNCTIONS

_CURRENCIES = frozenset(["€", "£", "¥", "₹", r"\dollar", "USD", "EUR", "GBP", "Rs", "INR", "RMB"])
_UNIT_SIGNS = frozenset(["°", "%", "€", "£", "¥", "₹", "$", "¢", r"\dollar", r"\mu", r"\Omega", r"\frac", r"\min"])
#: Functions of an angle: a degree sign after them is their argument's and no unit of the whole.
_TURNS = frozenset(["sin", "cos", "tan", "cot", "sec", "csc"])


def without_unit(found: list[Token], gold: bool, lone: bool = False) -> tuple[list[Token], Unit | None]:
    """Tokens without a unit at their end (or a currency before them), and the unit."""
    if found[0].text in _CURRENCIES or (found[0].text == "-" and len(found) > 1 and found[1].text == r"\dollar"):
        place = 0 if found[0].text != "-" else 1
        rest = found[:place] + found[place + 1 :]
        value, after = without_unit(rest, gold) if rest else (rest, None)
        return value, after or units.unit(found[place].text)
    for start in range(1, len(found)):
        token = found[start]
        if not _may_begin_unit(token):
            continue
        unit = units.unit(written(found[start:])) if _is_unit(found, start, lone) else None
        if unit is None and token.kind == "text" and start == len(found) - 1 and _ends_value(found[start - 1]):
            unit = units.noun(token.text, any_thing=gold)
        if unit is not None:
            return found[:start], unit
    return found, None


def _may_begin_unit(token: Token) -> bool:
    return token.kind in ("word", "text") or token.text in _UNIT_SIGNS


def _ends_value(token: Token) -> bool:
    return token.kind in ("number", "end", "word", "symbol") or token.text in (")", "}", "]", r"\}", r"\pi", "|", "!")


def _is_unit(found: Sequence[Token], start: int, lone: bool) -> bool:
    """Whether the tokens from `start` may be a unit by their typesetting: one slanted letter is none unless `lone`."""
    suffix, before = found[start:], found[start - 1]
    if not _ends_value(before) or before.text in ("^", "_"):
        return False
    if before.text.removeprefix("\\") in FUNCTIONS:
        return False
    bare = [token for token in suffix if token.kind == "word"]
    if suffix[0].text == "°":
        return len(suffix) > 1 or not any(token.text.removeprefix("\\") in _TURNS for token in found[:start])
    if any(token.kind == "text" for token in suffix) or not bare or not all(len(token.text) == 1 for token in bare):
        # `2 sin`: a name without its argument is a unit's (`5 min`, `3 sec`), and a product with one is none.
        return not (before.kind == "word" and not suffix[0].spaced)
    if any(token.text in (r"\Omega", r"\mu") for token in suffix):
        return True
    literal = all(token.kind == "number" or token.text in "-+" for token in found[:start])
    signs = {token.text for token in suffix}
    if len(bare) == 1:
        return literal and (lone or (len(suffix) > 1 and suffix[1].text == "^" and suffix[0].spaced))
    return literal and (bool(signs & {"/", "^", r"\frac"}) or (r"\cdot" in signs and suffix[0].spaced))


def written(found: Sequence[Token]) -> str:
    """Tokens as text again, with the spaces they had."""
    parts = []
    for token in found:
        parts.append((" " if token.spaced or token.kind == "text" else "") + token.text)
    text = "".join(parts).replace("^ ", "^")
    return text if r"\frac" in text else text.replace("{", "").replace("}", "")
