"""Keep text problems that can be solved from their text: one that shows or names a picture has lost it.

Judged is what a problem says of itself. "In the figure below" names a picture, and so does the code that draws one; a
region that is called shaded does not, since many texts say which one that is, nor does the graph of an equation.
"""

import re
from typing import Literal

from capcurriculum.reasons import Reason
from capcurriculum.recipe.stages import StageName
from capcurriculum.rows import Question, Stage, Verdict
from filters.base import TextRule
from filters.words import one_line, quoted

#: Where a picture stood: a tag, a file, a link to one. `< image>` is how sources leave a placeholder behind.
_EMBEDDED = re.compile(
    r"!\[[^\]\n]{0,200}\]\s?\(|< ?/?(?:image|img|figure)\b[^>\n]{0,200}>|\[/?img\b|\\includegraphics\b"
    r"|[\w-]\.(?:png|jpe?g|gif|svg|webp|bmp)\b",
    re.IGNORECASE,
)
#: A picture as the code that draws it.
_CODE = re.compile(
    r"\[asy\]|<asy>|<svg\b"
    r"|\\begin ?\{(?:asy|asypicture|tikzpicture|pspicture|picture|pgfpicture|circuitikz)\}",
    re.IGNORECASE,
)
#: Rows and columns that are written out, to which "the grid below" points.
_WRITTEN = re.compile(r"\\begin ?\{(?:array|tabular|[a-zA-Z]?matrix|align)|\| ?:?-{2,}")

#: Figures and diagrams, and what a story may also be about.
_FIGURE = r"(?:figure|diagram|picture|illustration|drawing|sketch|photo(?:graph)?)"
_FIGURES = rf"(?:{_FIGURE}s?|sketches)"
#: What can be drawn and is not called a figure. No tables and lists: those are in the text.
_SHAPE = (
    r"(?:images?|(?:picto|bar )?graphs?|charts?|plots?|histograms?|maps?|grids?|networks?|nets?|patterns?|spinners?"
    r"|wheels?|mazes?|clocks?|rulers?|shapes?|solids?|lattices?|(?:checker|chess|dart)?boards?|blocks?|tiles?|tilings?"
    r"|triangles?|squares?|rectangles?|trapezoids?|trapeziums?|parallelograms?|rhombus(?:es)?|quadrilaterals?"
    r"|(?:pent|hex|hept|oct|poly)agons?|polygons?|(?:semi)?circles?|sectors?|cubes?|cones?|cylinders?|pyramids?|prisms?)"
)
_PLACE = r"(?:below|above|here|(?:at|on|to) (?:the |your )?(?:right|left)|on the (?:next|previous|following) page)"
_SHOWN = r"(?:shown|pictured|depicted|illustrated)"
_DRAWN = rf"(?:{_SHOWN}|drawn|sketched|graphed|plotted|displayed|indicated|labell?ed|marked|outlined)"
_SAYS = r"(?:shows?|depicts?|illustrates?|represents?|displays?|indicates?)"
_OWN = r"(?:accompanying|adjoining|adjacent|attached|enclosed)"

#: Words that nothing but a picture explains.
_SURE = re.compile(
    # the figure below, the accompanying diagram, (see picture), Figure 3, the figures are shown
    rf"\b{_FIGURES},? (?:{_DRAWN} |given |provided )?{_PLACE}\b|\b{_OWN} {_FIGURES}\b"
    rf"|\b(?:following|given|above|provided) {_FIGURE}\b|(?:\A|[(\[.;,] ?)(?:see|refer to) (?:the |this )?{_FIGURES}\b"
    rf"|(?<!\ba )\bfig(?:ures?|s)?\.? ?\d|\bfig\. ?[a-z(]|\b{_FIGURES} (?:is|are) {_SHOWN}\b|\({_FIGURES}\)"
    # as shown, pictured below, "triangle ABC, shown, is"
    rf"|\bas (?:is |are )?(?:{_SHOWN}|drawn)(?=\s*(?:[.,;)]|\Z)| {_PLACE}| in (?:the|this) (?:\w+ )?{_FIGURE})"
    rf"|\b{_DRAWN} (?:in|on) (?:the|this|these) (?:\w+ )?{_FIGURES}\b"
    rf"|\b(?:pictured|depicted|graphed|sketched) {_PLACE}\b|, {_SHOWN},",
    re.IGNORECASE,
)
#: The grid shown, the wheel below, below is the graph of, the map shows: unless rows and columns are written out.
_POINTED = re.compile(
    rf"\b(?:the|this|these|each) (?:[^\s.?!]+ ){{0,3}}?{_SHAPE},? "
    rf"(?:(?:of [^.?!]{{1,60}} )?(?:is |are |that is )?(?:{_DRAWN} {_PLACE}|{_SHOWN}(?! (?:to|that|by|how)\b))(?!\w)"
    r"|below\b(?! (?:it|them|the|an?|this|that|each|\$|\w\b)))"
    rf"|\b{_PLACE} (?:is|are) (?:the|an?) (?:\w+ ){{0,2}}?(?:{_FIGURE}|{_SHAPE})\b"
    rf"|\b(?:graph|map|chart|histogram|plot) (?:{_PLACE} )?(?:shows|depicts|illustrates|displays)\b",
    re.IGNORECASE,
)
#: A figure that is taken as known, though not the one that cutting or folding leaves.
_NAMED = re.compile(
    rf"\b(?:in|from|on|using|consider) (?:the|this) "
    r"(?:(?!remaining|resulting|final|new|whole|entire|original|geometric|plane|convex|obtained|action)\w+ )?"
    rf"{_FIGURE}\b(?! (?:album|book|frame|galler|class|contest|competition|skat))"
    rf"|\bof (?:the|this) diagram\b|\b(?:the|this) (?:\w+ )?{_FIGURE} {_SAYS}\b|\bas in (?:the )?{_FIGURE}\b(?! skat)",
    re.IGNORECASE,
)
#: "A figure consists of ...", "draw a diagram", "her drawing": then a figure named later is that one.
_INTRODUCED = re.compile(
    rf"\b(?:an?|any|every|each|another|some|my|your|his|her|their|\d+|draws?|drew|makes?|sketch|takes?|took) "
    rf"(?:[\w-]+ ){{0,3}}?{_FIGURES}\b",
    re.IGNORECASE,
)
#: As shown in the figure, the figure below, the shaded part of the figure; not 如图书馆, "such as a library".
_CHINESE = re.compile(r"如(?:下|上|左|右|附)?图(?!书|像)|(?:下|左|右|附)图(?!像)|图\s?\d*\s?(?:中?所示|示)|图中的?阴影")


class NeedsPictureSection(TextRule):
    """A text problem neither shows nor names a picture that its reader does not have.

    `code` says whether drawing code (`[asy]`, TikZ) is `enough` of a picture, or leaves it `missing`.
    """

    name: Literal["needs_picture"] = "needs_picture"
    stages: tuple[StageName, ...] = (Stage.TEXT.value,)
    code: Literal["missing", "enough"] = "missing"

    def judge(self, question: Question) -> Verdict:
        """The verdict on a problem's words; one that has its picture lacks none."""
        found = "" if question.image_path else missing(question.problem, self)
        return self.verdict(question, not found, Reason.NEEDS_PICTURE if found else Reason.KEPT, found)


def missing(text: str, section: NeedsPictureSection) -> str:
    """The words by which a text shows or names a picture, in quotes and cut where they are long; "" without any."""
    line = one_line(text)
    if found := _EMBEDDED.search(line):
        return quoted(found.group())
    code = _CODE.search(line)
    if code and section.code == "enough":
        return ""
    found = code or _SURE.search(line) or _CHINESE.search(line) or _named(line)
    if not found and not _WRITTEN.search(line):
        found = _POINTED.search(line)
    return quoted(found.group()) if found else ""


def _named(line: str) -> re.Match[str] | None:
    """The first figure that is taken as known and that the text before it has not introduced."""
    found = _NAMED.search(line)
    return None if found is None or _INTRODUCED.search(line, 0, found.start()) else found
