r"""Copies of problems as they come into training sets: the same problem, written otherwise.

Each way takes a text and a seeded source of randomness and gives another text. Formulas are what stands between `$`,
`\(` or `\[`, and drawings what stands between `[asy]` and `[/asy]`; ways that change words leave both alone.
"""

import random
import re
from collections.abc import Callable, Mapping

Way = Callable[[str, random.Random], str]

_FORMULA = re.compile(r"(\[asy\].*?\[/asy\]|\$\$.*?\$\$|\$.*?\$|\\\[.*?\\\]|\\\(.*?\\\))", re.DOTALL)
_FRACTION = re.compile(r"\\[dt]?frac")
_WORD = re.compile(r"[A-Za-z]{2,}")
_OTHERS = {
    "find": "determine", "compute": "calculate", "evaluate": "calculate", "express": "write", "simplify": "reduce",
    "smallest": "least", "largest": "greatest", "value": "size", "number": "count", "many": "numerous", "each": "every",
    "all": "every", "has": "owns", "such": "so", "that": "which", "total": "overall", "positive": "nonnegative",
}  # fmt: skip
_FILLERS = ("certain", "given", "actual", "particular", "also", "now", "exactly", "then", "here", "indeed")
_SIGNS = {
    r"\leq": "≤", r"\le": "≤", r"\geq": "≥", r"\ge": "≥", r"\neq": "≠", r"\cdot": "·", r"\times": "×", r"\pi": "π",
    r"\theta": "θ", r"\alpha": "α", r"\beta": "β", r"\infty": "∞", r"^\circ": "°", r"^{\circ}": "°", r"\angle": "∠",
    r"\triangle": "△", r"\sqrt": "√", r"\pm": "±", r"\cup": "∪", r"\ldots": "…", r"\dots": "…", "^2": "²", "^3": "³",
    "^{2}": "²", "_1": "₁", "_2": "₂", "'": "’",
}  # fmt: skip
_BEFORE = (
    "Solve the following problem.\n\n",
    "You are a helpful assistant. Answer the question below.\nQuestion: ",
    "Please solve this math problem carefully:\n",
    "### Instruction:\nSolve the problem and explain your reasoning in detail.\n\n### Problem:\n",
)
_AFTER = (
    "\nPlease reason step by step, and put your final answer within \\boxed{}.",
    "\n\nLet us think step by step.",
    '\nGive your final answer as a single number or expression, after the words "Answer:".',
)
_OPTIONS = (
    "\nOptions: (A) {} (B) {} (C) {} (D) {}",
    "\nChoices:\nA. {}\nB. {}\nC. {}\nD. {}",
    r" $\textbf{{(A)}}\ {}\qquad\textbf{{(B)}}\ {}\qquad\textbf{{(C)}}\ {}\qquad\textbf{{(D)}}\ {}$",
)


def _parts(text: str, prose: Callable[[str], str], formula: Callable[[str], str]) -> str:
    found = _FORMULA.split(text)
    changed = [formula(part) if place % 2 else prose(part) for place, part in enumerate(found)]
    return "".join(part if part.startswith("[asy]") else new for part, new in zip(found, changed, strict=True))


def _same(part: str) -> str:
    return part


def _as_is(text: str, draw: random.Random) -> str:
    return text


def _upper(text: str, draw: random.Random) -> str:
    return _parts(text, str.upper, _same)


def _lower(text: str, draw: random.Random) -> str:
    return text.lower()


def _punctuation(text: str, draw: random.Random) -> str:
    def other(found: re.Match[str]) -> str:
        return draw.choice(("", " " + found[0], found[0] * 2, " -"))

    return _parts(text, lambda part: re.sub(r"[.,;:?!]", other, part), _same).strip() + draw.choice(("", ".", "?!"))


def _spacing(text: str, draw: random.Random) -> str:
    def formula(part: str) -> str:
        part = re.sub(r"\\[,!;]|\\q?quad|\\left|\\right", "", part)
        part = re.sub(r"\s*([+=<>-])\s*", lambda m: draw.choice((m[1], f" {m[1]} ", rf"\,{m[1]}\,")), part)
        return (
            re.sub(r"(?<!\\)([()])", r"\\left\1", part).replace(r"\left)", r"\right)") if draw.random() < 0.5 else part
        )

    return re.sub(r"[ \n]+", lambda _: draw.choice((" ", "  ", "\n")), _parts(text, _same, formula))


def _fractions(text: str, draw: random.Random) -> str:
    other = draw.choice((r"\dfrac", r"\tfrac", r"\cfrac"))
    return _FRACTION.sub(lambda found: other if found[0] == r"\frac" else r"\frac", text)


def _short_fractions(text: str, draw: random.Random) -> str:
    return re.sub(r"\\[dt]?frac\{(\d)\}\{(\d)\}", r"\\frac\1\2", text)


def _delimiters(text: str, draw: random.Random) -> str:
    def formula(part: str) -> str:
        for old, begin, end in (("$$", r"\[", r"\]"), ("$", r"\(", r"\)"), (r"\[", "$$", "$$"), (r"\(", "$", "$")):
            if part.startswith(old):
                return begin + part[len(old) : -len(old)] + end
        return part

    return _parts(text, _same, formula)


def _unicode(text: str, draw: random.Random) -> str:
    for command, sign in _SIGNS.items():
        text = re.sub(re.escape(command) + ("(?![a-zA-Z])" if command[-1].isalpha() else ""), sign, text)
    text = re.sub(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}", r"\1/\2", text)
    return text.replace(" ", "\N{NO-BREAK SPACE}", 3).replace("$", "")


def _instructed(text: str, draw: random.Random) -> str:
    return draw.choice(_BEFORE) + text + draw.choice(_AFTER)


def _example_before(text: str, draw: random.Random) -> str:
    one, two = draw.sample(range(3, 90), 2)
    shown = f"A shop sells {one} red and {two} blue kites in a week. How many kites does it sell? Answer: {one + two}."
    return f"Here is an example of how to answer.\n\nProblem: {shown}\n\nProblem: {text}\nAnswer:"


def _options(text: str, draw: random.Random) -> str:
    return text + draw.choice(_OPTIONS).format(*(draw.randint(1, 200) for _ in range(4)))


def _cut(text: str, draw: random.Random) -> str:
    words = text.split(" ")
    return " ".join(words[: max(round(len(words) * draw.uniform(0.6, 0.8)), 8)])


def _changed(text: str, draw: random.Random) -> str:
    """One word in twelve, and one at least, is another."""
    prose: list[int] = []
    begin = 0
    for place, part in enumerate(_FORMULA.split(text)):
        prose += [begin + found.start() for found in _WORD.finditer(part) if place % 2 == 0]
        begin += len(part)
    many = min(max(round(len(text.split()) / 12), 1), len(prose))
    for start in sorted(draw.sample(prose, many), reverse=True):
        word = _WORD.match(text, start)
        if word:
            text = text[:start] + _OTHERS.get(word[0].lower(), draw.choice(_FILLERS)) + text[word.end() :]
    return text


def _inserted(text: str, draw: random.Random) -> str:
    """A word more after every sixteenth, and one at least, anywhere but at the ends."""
    words = text.split(" ")
    for place in sorted(draw.sample(range(1, len(words)), max(round(len(words) / 16), 1)), reverse=True):
        words.insert(place, draw.choice(_FILLERS))
    return " ".join(words)


def _no_drawing(text: str, draw: random.Random) -> str:
    return re.sub(r"\[asy\].*?\[/asy\]", "", text, flags=re.DOTALL).strip()


def _two(text: str, draw: random.Random) -> str:
    for name in draw.sample([name for name in WAYS if name not in ("as it is", "two at once")], 2):
        text = WAYS[name](text, draw)
    return text


def other_numbers(text: str, draw: random.Random) -> str:
    """Every number another one of as many digits: another problem of the same words."""
    return re.sub(r"\d+", lambda found: str(draw.randrange(10 ** (len(found[0]) - 1), 10 ** len(found[0]))), text)


WAYS: Mapping[str, Way] = {
    "as it is": _as_is,
    "upper case": _upper,
    "lower case": _lower,
    "punctuation": _punctuation,
    "spaces, \\left and \\right": _spacing,
    "\\dfrac for \\frac": _fractions,
    "\\frac12 for \\frac{1}{2}": _short_fractions,
    "\\(x\\) for $x$": _delimiters,
    "Unicode for LaTeX": _unicode,
    "instruction around": _instructed,
    "behind an example": _example_before,
    "options after": _options,
    "cut to 60-80 %": _cut,
    "1 word in 12 changed": _changed,
    "1 word in 16 inserted": _inserted,
    "without its drawing": _no_drawing,
    "two at once": _two,
}
