r"""Where a reply says its final answer: after the thinking, in the last box, else in an explicit final statement.

Nothing here judges. Every search is one pass over the text, so a megabyte of braces or boxes costs milliseconds, and
nothing recurses. Whatever stands inside `<think>` is a thought, also when the thought is never closed.
"""

import re

_CLOSE = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_OPEN = re.compile(r"<think(?:ing)?>", re.IGNORECASE)
_BOX = re.compile(r"\\boxed\s{0,8}\{")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)

#: A place that speaks about the answer. Only the `sure` form at the start of a clause states it; a later unsure or
#: embedded one ("if the answer is B", "the answer depends on") withdraws what was said before.
_MARK = re.compile(
    r"(?P<head>\b(?:(?:so|thus|hence|therefore|then|and|but)\b,? {1,4})?"
    r"(?:(?:the|my|our)\b {1,4})?(?:(?:final|correct|right|best|true)\b {1,4}){0,2})"
    r"\b(?P<noun>answer|option|choice)(?: choice| option)?(?: to (?:the|this) question)?\b[*_]{0,3}[ \t]{0,4}"
    r"(?:(?P<sure>is\b(?![ \t]{1,4}not\b)[ \t]{0,4}:?|:|=)"
    r"|isn['’]t\b|is[ \t]{1,4}not\b|(?:depends|cannot|can't|may|might|could|would|should|must|appears|seems|was)\b)",
    re.IGNORECASE,
)
_CLAUSE_START = re.compile(r"(?:^|[.!?:;,\n>)\]}—–-])[\s*_#\"'“(\[{$]*$")
_LEADING_MARKUP = " \t\r\n*_"


def after_thinking(text: str) -> str:
    """What stands after the last closed thought and before any thought that is opened and never closed."""
    start = 0
    for closing in _CLOSE.finditer(text):
        start = closing.end()
    opening = _OPEN.search(text, start)
    return text[start : opening.start() if opening else len(text)]


def last_box(text: str) -> str | None:
    r"""Content of the last `\boxed{}`, innermost when boxes nest; None without a box; "" when it is never closed.

    A box the reply did not close is a reply cut short while it changed its mind, so no earlier box counts instead.
    """
    start = -1
    for box in _BOX.finditer(text):
        start = box.end()
    if start < 0:
        return None
    depth = 1
    for brace in _BRACE.finditer(text, start):
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return text[start : brace.start()].strip()
    return ""


def last_statement(text: str) -> str | None:
    """The rest of the line after the last "the answer is" or "Answer:"; None without one; "" when it is unsure.

    The statement must begin a clause: "if the answer is B" and "I doubt the answer is B" state nothing.
    """
    last = None
    for mark in _MARK.finditer(text):
        if mark["noun"].lower() == "answer" or re.search(r"final|correct|right|best|true", mark["head"], re.IGNORECASE):
            last = mark
    if last is None:
        return None
    before = text[max(0, last.start() - 64) : last.start()]
    if last["sure"] is None or not _CLAUSE_START.search(before if last.start() <= 64 else "x" + before):
        return ""
    return text[last.end() :].lstrip(_LEADING_MARKUP).split("\n", 1)[0].strip()
