r"""One spelling for one answer, without a computer algebra system: the fast path that settles most maths answers.

`canonical` rewrites how an answer is typeset (`60°`, `2√3`, `\dfrac12`, `x²`, dollars), never what it says. `number`
reads plain numbers exactly: `50\%` is 0.5, so `50\%` and 50 are different answers. Units are dropped, never converted.
"""

import math
import re
import unicodedata
from fractions import Fraction

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_SUPERSCRIPT_RUN = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
_SYMBOLS = {
    "−": "-", "–": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "÷": "/", "±": r"\pm ", "％": "%",
    "°": "", "º": "", "π": r"\pi ", "θ": r"\theta ", "∞": r"\infty ", "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ",
    "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}",
    "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}",
}  # fmt: skip
_SYMBOL = re.compile("|".join(map(re.escape, _SYMBOLS)))
_ROOT = re.compile(r"√\s?(?:\(([^()]{1,80})\)|\{([^{}]{1,80})\}|(\d+(?:\.\d+)?|[A-Za-z]))")
_WRAP = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mathsf|mbox|operatorname)\s?\{([^{}]*)\}")
_DEGREES = re.compile(r"\^\s?\{?\s?\\circ\s?\}?|\\degree\b|(?<=\d) ?degrees?\b")
_SPACING = re.compile(r"\\[,;:! ]|\\q?quad\b|\\left\b|\\right\b|\\displaystyle\b|[$~]|\\[()\[\]$]")
_SHORT_FRACTION = re.compile(r"\\frac\s?(\d)\s?(\d)(?!\d)")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_DIGIT_SPACING = re.compile(r"(?<=\d)(?:\\[,!]|\{,\}) ?(?=\d{3}(?!\d))")
_UNIT = re.compile(r"^(.*[\d.})])\s+((?:[A-Za-z]{2,}(?: [A-Za-z]{2,})?|[mghsLlNJWVK])(?:\^\{?[23]\}?)?)$")
_NOT_UNITS = re.compile(r"\b(?:and|or|to|sin|cos|tan|log|ln|mod)\b")
_NUMBER = re.compile(
    r"^([-+]?)(?:(\d{1,60})?(?:\.(\d{1,60}))?(?:[eE]([-+]?\d{1,2}))?|\\frac\{(-?\d{1,60})\}\{(\d{1,60})\}|(\d{1,60})/(\d{1,60}))(\\?%)?$"
)
_TOWER = re.compile(r"\d+(?:\^\{*\d+){1,50}")
_FACTORIAL = re.compile(r"\d{4,}!")
_ASSIGNMENT = re.compile(r"^\\?[A-Za-z](?:_\{?\w\}?)? ?= ?([^=<>]+)$")
_COMMAND = re.compile(r"\\[A-Za-z]+")
_FUNCTIONS = frozenset(
    [
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "log",
        "exp",
        "sqrt",
        "arcsin",
        "arccos",
        "arctan",
        "min",
        "max",
        "mod",
        "and",
        "gcd",
        "lcm",
    ]
)


def unwrapped(text: str) -> str:
    r"""`text` without `\text{}`, `\mathbf{}` and their like around its parts, to a depth of eight."""
    for _ in range(8):
        text, changed = _WRAP.subn(r" \1 ", text)
        if not changed:
            break
    return text


def canonical(text: str) -> str:
    """One spelling of an answer; equal results mean equal answers, different ones mean nothing yet."""
    text = _SUPERSCRIPT_RUN.sub(lambda run: "^{" + run[0].translate(_SUPERSCRIPTS) + "}", text)
    text = _SYMBOL.sub(lambda symbol: _SYMBOLS[symbol[0]], text)
    text = _ROOT.sub(lambda root: r"\sqrt{" + (root[1] or root[2] or root[3]) + "}", text)
    text = unicodedata.normalize("NFKC", text)
    text = _DIGIT_SPACING.sub(",", _DEGREES.sub("", text.replace("**", "")))
    text = unwrapped(_SPACING.sub(" ", text)).replace(r"\dfrac", r"\frac").replace(r"\tfrac", r"\frac")
    text = _SHORT_FRACTION.sub(r"\\frac{\1}{\2}", text)
    text = re.sub(r"\s*([-+*/=^_,<>{}()\[\]|%])\s*", r"\1", " ".join(text.split()))
    text = re.sub(r"\^\{(\w)\}", r"^\1", text)
    return text.strip().lstrip("=").rstrip(".").strip()


def without_thousands(text: str) -> str:
    """A canonical answer with `1,000` as `1000`. The list `100,200` reads like that too: compare both."""
    return _THOUSANDS.sub(lambda digits: digits[0].replace(",", ""), text)


def without_unit(text: str) -> tuple[str, str]:
    """A canonical answer as (value, unit); a unit is a word or two, or one of a few letters, after a space."""
    found = _UNIT.match(text)
    if not found or _NOT_UNITS.search(found[2]):
        return text, ""
    return found[1].strip(), found[2].casefold()


def number(text: str) -> Fraction | None:
    r"""The exact value of an integer, decimal, `a/b` or `\frac{a}{b}`, each also with `%`; None for all else."""
    found = _NUMBER.match(text)
    if not found:
        return None
    sign, whole, decimals, power, top, bottom, left, right, percent = found.groups()
    if top or left:
        denominator = int(bottom or right)
        if denominator == 0:
            return None
        value = Fraction(int(top or left), denominator)
    elif whole or decimals:
        value = Fraction(f"{whole or 0}.{decimals or 0}e{power or 0}")
    else:
        return None
    return (-value if sign == "-" else value) / (100 if percent else 1)


def numbers(text: str) -> tuple[str, list[Fraction]] | None:
    r"""(kind of brackets, plain numbers in them) of a point or an interval, `(1,2)` or `[0,5)`; None for all else.

    Sets are left out: in them order and repetition mean nothing.
    """
    if len(text) < 5 or text[0] not in "([" or text[-1] not in ")]":
        return None
    values = [number(part) for part in text[1:-1].split(",")]
    known = [value for value in values if value is not None]
    return (text[0] + text[-1], known) if len(values) == len(known) > 1 else None


def close(answer: Fraction, gold: Fraction, *, rounded: bool) -> bool:
    """Equality; when one of the two was written with a decimal point, to a millionth (relative below 1)."""
    return answer == gold or (rounded and abs(answer - gold) <= Fraction(1, 10**6) * min(Fraction(1), abs(gold)))


def astronomical(text: str) -> bool:
    """Whether a power or factorial in `text` has over ten thousand digits, so that comparing it would never end."""
    return bool(_FACTORIAL.search(text)) or any(
        _too_high([int(level) for level in re.findall(r"\d+", tower[0][:1000])]) for tower in _TOWER.finditer(text)
    )


def _too_high(levels: list[int], digits: int = 10_000) -> bool:
    value = levels.pop()
    while levels:
        base = levels.pop()
        if base > 1 and (value > 4 * digits or value * math.log10(base) > digits):
            return True
        value = base**value
    return False


def assigned(text: str) -> str | None:
    """The right side of `x = 5`, or None when `text` is no assignment to one symbol."""
    found = _ASSIGNMENT.match(text)
    return found[1].strip() if found else None


def is_words(text: str) -> bool:
    """Whether an answer is language rather than maths: a run of three letters in it names no function."""
    runs = re.findall(r"[^\W\d_]{3,}", _COMMAND.sub(" ", text))
    return any(run.lower() not in _FUNCTIONS for run in runs)
