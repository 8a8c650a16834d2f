r"""Where a reply says its final answer: after the thinking, in the last box, else in an explicit final statement.

Nothing here judges. Every search is one pass over the text, so a megabyte of braces or boxes costs milliseconds, and
nothing recurses. Whatever stands inside `<think>` is a thought, also when the thought is never closed.
"""

import re

_CLOSE = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_OPEN = re.compile(r"<think(?:ing)?>", re.IGNORECASE)
_BOX = re.compile(r"\\f?box(?:ed)?\s{0,8}\{")
_PIECE = re.compile(r"\\f?box(?:ed)?\s{0,8}\{|\\.|[{}]", re.DOTALL)
#: What may stand between boxes that are one answer together, once layout is taken away.
_LAYOUT = re.compile(r"\\q?quad|\\text|\\[()\[\],;: ]|\\\\|[{}$&,;\s]")
_JOINED = frozenset(["", "and", "or", "和", "或", "与", "以及"])
_LONGEST_JOINT = 60
_TAG = re.compile(r"<answer>(.*?)</answer>", re.IGNORECASE | re.DOTALL)
#: Statements that name an option before they call it right, those of Chinese replies, and GSM8K's mark.
_MARKED = re.compile(r"^#### *(?=[-+$]{0,2}\d[\d,./%]*\s*$)", re.MULTILINE)
_NAMED_RIGHT = re.compile(
    r"\b(?:option|choice|answer)[ *_]{1,4}(?P<letter>[(\[]?[A-J][)\]]?)[*_]{0,3}[ ]{1,3}is[ ](?:the[ ])?"
    r"(?:correct|right|best|true)\b",
    re.IGNORECASE,
)
_CHINESE = re.compile(
    r"(?:故选|应选|因此选|所以选|答案(?:是|为|选)?|选项(?:是|为))\s{0,3}[:：]?\s{0,3}(?=[A-Za-zＡ-Ｚ0-9(（$\\\-*])"
)
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


def last_boxes(text: str) -> list[str] | None:
    r"""Contents of the last boxes that are one answer together, in order; None without a box.

    Boxes are joined when nothing but layout, a comma, "and" or "or" stands between them: `\boxed{1} \text{ and }
    \boxed{2}`. The last content is as `last_box` gives it.
    """
    last = last_box(text)
    if last is None:
        return None
    spans = _closed_boxes(text)
    if not last or not spans:
        return [last]
    contents = [last]
    for (start, _, _), (_, end, before) in zip(spans[:0:-1], spans[-2::-1], strict=True):
        between = text[end:start]
        if len(between) > _LONGEST_JOINT or _LAYOUT.sub("", between) not in _JOINED or not before:
            break
        contents.append(before)
        if len(contents) > _MOST_BOXES:
            break
    return contents[::-1]


_MOST_BOXES = 60


def _closed_boxes(text: str) -> list[tuple[int, int, str]]:
    """(start, end, content) of every box without another inside it, in order."""
    stack: list[tuple[int, int]] = []  # (start of the box or -1, start of the content)
    found: list[tuple[int, int, str]] = []
    inner = -1  # where the last box closed that another may hold
    for piece in _PIECE.finditer(text):
        if piece[0].endswith("{"):
            stack.append((piece.start() if len(piece[0]) > 1 else -1, piece.end()))
        elif piece[0] == "}" and stack:
            start, content = stack.pop()
            if start >= 0 and inner < content:
                found.append((start, piece.end(), text[content : piece.start()].strip()))
            if start >= 0:
                inner = piece.start()
    return found


def tagged(text: str) -> str:
    """What the last `<answer>` tag holds, or the text itself."""
    tags = _TAG.findall(text)
    return tags[-1] if tags else text


def last_statement(text: str) -> str | None:
    """The rest of the line after the last "the answer is" or "Answer:"; None without one; "" when it is unsure.

    The statement must begin a clause: "if the answer is B" and "I doubt the answer is B" state nothing.
    """
    last = None
    for mark in _MARK.finditer(text):
        if mark["noun"].lower() == "answer" or re.search(r"final|correct|right|best|true", mark["head"], re.IGNORECASE):
            last = mark
    other = _other_statement(text)
    if other is not None and (last is None or other.start() > last.start()):
        return other["letter"] if other.re is _NAMED_RIGHT else text[other.end() :].split("\n", 1)[0].strip()
    if last is None:
        return None
    before = text[max(0, last.start() - 64) : last.start()]
    if last["sure"] is None or not _CLAUSE_START.search(before if last.start() <= 64 else "x" + before):
        return ""
    return text[last.end() :].lstrip(_LEADING_MARKUP).split("\n", 1)[0].strip()


def _other_statement(text: str) -> re.Match[str] | None:
    """The last "option B is correct" that begins a clause, Chinese statement, or `#### 18`, whichever is later."""
    last = None
    for pattern in (_NAMED_RIGHT, _CHINESE, _MARKED):
        for mark in pattern.finditer(text):
            before = text[max(0, mark.start() - 64) : mark.start()]
            begins = _CLAUSE_START.search(before) if pattern is _NAMED_RIGHT else True
            if begins and (last is None or mark.start() > last.start()):
                last = mark
    return last
