"""Tokens and their brackets: what stands outside them, where one closes, how tokens split at signs."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from capcurriculum.grading.notation.tokens import Token
from capcurriculum.grading.notation.tree import Broken

OPENERS = {"(": ")", "[": "]", r"\{": r"\}", r"\langle": r"\rangle", "{": "}"}
CLOSERS = frozenset([")", "]", r"\}", r"\rangle", "}"])
DEEPEST = 30


def check_depth(found: Sequence[Token]) -> None:
    """Refuse what is nested deeper than any honest answer, so that no recursion is in danger.

    Raises:
        Broken: it is.
    """
    depth = 0
    for token in found:
        depth += (token.text in OPENERS) - (token.text in CLOSERS)
        if depth > DEEPEST:
            raise Broken("it is nested too deeply")


def unwrapped(found: Sequence[Token]) -> Sequence[Token]:
    """Without braces around the whole."""
    while len(found) >= 2 and found[0].text == "{" and found[-1].text == "}" and closing(found, 0) == len(found) - 1:
        found = found[1:-1]
    return found


def closing(found: Sequence[Token], start: int) -> int:
    """The place of the bracket that closes the one at `start`, whatever its shape; -1 without one."""
    depth = 0
    for place in range(start, len(found)):
        text = found[place].text if found[place].kind != "text" else ""
        depth += (text in OPENERS) - (text in CLOSERS)
        if depth == 0:
            return place
    return -1


def top(found: Sequence[Token]) -> Iterator[tuple[int, Token]]:
    """The tokens outside brackets and environments, with their places.

    Raises:
        Broken: brackets do not match in number.
    """
    depth = bars = 0
    for place, token in enumerate(found):
        if token.kind == "text":
            if depth == 0:
                yield place, token
            continue
        if token.text in OPENERS or token.kind == "begin":
            depth += 1
        elif token.text in CLOSERS or token.kind == "end":
            depth -= 1
            if depth < 0:
                raise Broken("a bracket closes that was never opened")
        elif token.text == "|" and depth == 0:
            bars ^= 1
            if found[place - 1].kind == "word" and place == 1:
                yield place, token
        elif depth == 0 and not bars:
            yield place, token
    if depth:
        raise Broken("a bracket is never closed")


def split_at(found: Sequence[Token], places: Sequence[int]) -> list[Sequence[Token]]:
    """The runs of tokens between those at `places`."""
    edges = [-1, *places, len(found)]
    return [found[start + 1 : end] for start, end in pairwise(edges)]
