r"""Replies to grade whose truth is known: no two maths answers alike, so nothing can be remembered.

A reply is a thought of about two kilobytes and an answer. Half of the maths answers are plain numbers in several
spellings, half need more than reading digits; half of each are right. Hangs are expressions that a computer algebra
system does not come to an end with, each in another spelling.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

_OPTIONS = ("a red car", "a blue car", "two dogs", "a cat")
_THOUGHT = "<think>" + "The first step follows from what is given, and the second from the first. " * 26 + "</think> "
_CHOICES = (
    (r"\boxed{{{letter}}}", True),
    (r"\boxed{{{letter}. {text}}}", True),
    (r"So it must be \boxed{{\text{{{letter}}}}}.", True),
    (r"\boxed{{{text}}}", True),
    (r"\boxed{{{other}}}", False),
    (r"\boxed{{{other}}}", False),
    (r"\boxed{{{letter} or {other}}}", False),
    ("It depends on the light.", False),
)


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply; `right` is the truth."""

    text: str
    gold: str
    right: bool
    options: tuple[str, ...] = ()


def choices(count: int, seed: int = 1) -> list[Reply]:
    """Four-option replies in eight forms."""
    draw = random.Random(seed)
    return [_choice(draw, number) for number in range(count)]


def maths(count: int, seed: int = 1) -> list[Reply]:
    """Free answers, plain numbers and algebra in turns."""
    draw = random.Random(seed)
    makers = (_number, _algebra)
    return [makers[number % 2](draw, number) for number in range(count)]


def with_hangs(replies: list[Reply], every: int) -> list[Reply]:
    """The same with every `every`-th answer replaced by one that does not end."""
    hangs = _hangs()
    return [
        Reply(rf"{_THOUGHT}\boxed{{{next(hangs)}}}", reply.gold, right=False) if number % every == every // 2 else reply
        for number, reply in enumerate(replies)
    ]


def _choice(draw: random.Random, number: int) -> Reply:
    form, right = _CHOICES[number % len(_CHOICES)]
    place = draw.randrange(4)
    letter, other = "ABCD"[place], "ABCD"[place - 1]
    return Reply(_THOUGHT + form.format(letter=letter, other=other, text=_OPTIONS[place]), letter, right, _OPTIONS)


def _number(draw: random.Random, number: int) -> Reply:
    whole, right = 1000 + number, draw.random() < 0.5
    answer, gold = draw.choice(
        (
            (f"{whole}", f"{whole}"),
            (f"{whole:,}", f"{whole}"),
            (f"{whole}°", f"{whole}"),
            (rf"\frac{{{whole}}}{{4}}", f"{whole / 4}"),
            (rf"{whole}\%", f"{whole / 100}"),
            (f"({whole}, 3)", f"({whole},3.0)"),
        )
    )
    return _reply(answer if right else answer.replace(str(whole)[-1], str(9 - int(str(whole)[-1]))), gold, right)


def _algebra(draw: random.Random, number: int) -> Reply:
    n, a, b, right = number + 2, draw.randint(2, 30), draw.randint(31, 60), draw.random() < 0.5
    off = 0 if right else 1
    answer, gold = draw.choice(
        (
            (rf"{a}\sqrt{{{n * b * b}}}", rf"{a * b + off}\sqrt{{{n}}}"),
            (rf"\frac{{{n}}}{{\sqrt{{{b}}}}}", rf"\frac{{{n}\sqrt{{{b}}}}}{{{b + off}}}"),
            (rf"\frac{{{n}\pi}}{{{b}}}", rf"\frac{{{n}}}{{{b + off}}}\pi"),
            (f"(x+{n})(x-{b})", f"x^2+{n - b}x-{n * b + off}"),
            (f"{n}x+{a}y={b}", f"{n + off}x+{a}y={b}"),
            (rf"x \in [{a},{n + b}]", rf"[{a},{n + b + off}]"),
            (rf"\frac{{x^2+{n}}}{{x-{b}}}", rf"\frac{{x^2+{n + off}}}{{x-{b}}}"),
            (f"{2**a}-{n}", f"2^{{{a}}}-{n + off}"),
        )
    )
    return _reply(answer, gold, right)


def _reply(answer: str, gold: str, right: bool) -> Reply:
    return Reply(rf"{_THOUGHT}\boxed{{{answer}}}", gold, right)


def _hangs() -> Iterator[str]:
    number = 0
    while True:
        number += 1
        yield f"({number}+9^{{9}}!)^{{9^9}}"
        yield rf"\sum_{{k=1}}^{{{8000 + number}}} \sqrt{{k}}"
        yield rf"\prod_{{k=1}}^{{{90000 + number}}} (k+\sqrt{{2}})"
        yield rf"9^{{9^9}} \bmod {number + 7}"
