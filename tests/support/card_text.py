"""A card as a renderer of GitHub's Markdown sees it, and foreign text that tries to be more than text."""

import re
import unicodedata
from dataclasses import dataclass, field

from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

#: Addresses that a card links to by itself.
OURS = re.compile(r"https://(arxiv\.org/abs/|huggingface\.co/|github\.com/)[\w./-]+|pictures/[\w-]+\.(png|jpg)")

FRAGMENTS = (
    "|", " | a | b |\n|---|---|\n", "\n---\n", "---", "\n---\nlicense: mit\n---\n",
    "<script>alert(1)</script>",
    "<!--",
    '<img src=x onerror="alert(1)">', "![p](https://evil.example/p.png)",
    "[a](javascript:alert(1))", "`", "```", "````\n",
    "~~~", "\n\n# Title\n", "\n- item", "\n    code",
    "\u202e", "\u2066", "\u200f", "\x00", "\x1b[2J", "\u2028", "\r", "\t", "$$x$$",
    "\\", "\\|", "&lt;b&gt;", "www.evil.example", "https://evil.example/",
    "<https://evil.example>", "a@evil.example", "@user",
    "{{ 7 * 7 }}", "{% include 'x' %}", "שלום", "مرحبا", "\u0301" * 9, "[ref]: https://evil.example", "[^1]", "x" * 300,
)  # fmt: skip
_ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)

#: Text as it may stand in a table, a caption or a model's name.
FOREIGN = st.lists(st.one_of(st.sampled_from(FRAGMENTS), _ANY), max_size=6).map("".join)


@dataclass
class Seen:
    """What a page shows: its elements by type, the texts inside code, where links and pictures lead, its tables."""

    types: set[str] = field(default_factory=set)
    code: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    tables: list[list[int]] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)


def seen(text: str) -> Seen:
    """Parse a card's body with tables, HTML and bare addresses switched on, as the Hub has them."""
    found = Seen()
    tokens = MarkdownIt("commonmark", {"linkify": False, "html": True}).enable(["table", "strikethrough"]).parse(text)
    for place, token in enumerate(tokens):
        for one in (token, *(token.children or ())):
            _note(one, found)
        if token.type == "table_open":
            found.tables.append([])
        if token.type == "tr_open":
            found.tables[-1].append(0)
        if token.type in ("th_open", "td_open"):
            found.tables[-1][-1] += 1
        if token.type == "heading_open":
            found.titles.append(tokens[place + 1].content)
    return found


def _note(token: Token, found: Seen) -> None:
    found.types.add(token.type)
    if token.type in ("code_inline", "fence", "code_block"):
        found.code.append(token.content)
    if token.type == "text":
        found.words.append(token.content)
    for name in ("href", "src"):
        if name in token.attrs:
            found.addresses.append(str(token.attrs[name]))


def check(text: str) -> Seen:
    """Hold what must hold of every card's body, whatever its run says; returns what it shows."""
    found = seen(text)
    assert not found.types & {"html_inline", "html_block", "code_block", "hr"}
    assert [address for address in found.addresses if not OURS.fullmatch(address)] == []
    assert not re.search(r"www\.|evil|javascript|@user", " ".join(found.words))
    assert all(len(set(rows)) == 1 for rows in found.tables)
    # Cells are also counted as the simplest renderers do, by pipes alone.
    unfenced = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)  # where pipes are only pipes
    for block in re.findall(r"(?:^\|.*\n)+", unfenced, re.MULTILINE):
        assert len({line.count("|") for line in block.splitlines()}) == 1
    hidden = [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") and c not in "\n\u200c\u200d"]
    assert hidden == []
    return found
