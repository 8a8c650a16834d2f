"""Drop text problems that embed or refer to a missing image.

"In the figure below" refers to an image, and so does drawing code. A "shaded region" or "the graph of y = x" does not,
since many texts define them.
"""

import re
from typing import Literal

from capcurriculum.reasons import Reason
from capcurriculum.recipe.stages import StageName
from capcurriculum.rows import Question, Stage, Verdict
from filters.base import TextRule
from filters.words import one_line, quoted

#: An embedded image: a tag, a file name, a link. `< image>` is a placeholder of some sources.
_EMBEDDED = re.compile(
    r"!\[[^\]\n]{0,200}\]\s?\(|< ?/?(?:image|img|figure)\b[^>\n]{0,200}>|\[/?img\b|\\includegraphics\b"
    r"|[\w-]\.(?:png|jpe?g|gif|svg|webp|bmp)\b",
    re.IGNORECASE,
)
#: Drawing code.
_CODE = re.compile(
    r"\[asy\]|<asy>|<svg\b"
    r"|\\begin ?\{(?:asy|asypicture|tikzpicture|pspicture|picture|pgfpicture|circuitikz)\}",
    re.IGNORECASE,
)
#: A table in the text, to which "the grid below" refers.
_WRITTEN = re.compile(r"\\begin ?\{(?:array|tabular|[a-zA-Z]?matrix|align)|\| ?:?-{2,}")

#: Words for figures.
_FIGURE = r"(?:figure|diagram|picture|illustration|drawing|sketch|photo(?:graph)?)"
_FIGURES = rf"(?:{_FIGURE}s?|sketches)"
#: Drawable things that are not called figures; tables and lists are in the text.
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

#: References to an image.
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
#: "The grid shown", "the wheel below", "below is the graph of", "the map shows": unless a table is in the text.
_POINTED = re.compile(
    rf"\b(?:the|this|these|each) (?:[^\s.?!]+ ){{0,3}}?{_SHAPE},? "
    rf"(?:(?:of [^.?!]{{1,60}} )?(?:is |are |that is )?(?:{_DRAWN} {_PLACE}|{_SHOWN}(?! (?:to|that|by|how)\b))(?!\w)"
    r"|below\b(?! (?:it|them|the|an?|this|that|each|\$|\w\b)))"
    rf"|\b{_PLACE} (?:is|are) (?:the|an?) (?:\w+ ){{0,2}}?(?:{_FIGURE}|{_SHAPE})\b"
    rf"|\b(?:graph|map|chart|histogram|plot) (?:{_PLACE} )?(?:shows|depicts|illustrates|displays)\b",
    re.IGNORECASE,
)
#: A figure referred to as known, but not the result of cutting or folding.
_NAMED = re.compile(
    rf"\b(?:in|from|on|using|consider) (?:the|this) "
    r"(?:(?!remaining|resulting|final|new|whole|entire|original|geometric|plane|convex|obtained|action)\w+ )?"
    rf"{_FIGURE}\b(?! (?:album|book|frame|galler|class|contest|competition|skat))"
    rf"|\bof (?:the|this) diagram\b|\b(?:the|this) (?:\w+ )?{_FIGURE} {_SAYS}\b|\bas in (?:the )?{_FIGURE}\b(?! skat)",
    re.IGNORECASE,
)
#: "A figure consists of ...", "draw a diagram", "her drawing": a later reference is to that one.
_INTRODUCED = re.compile(
    rf"\b(?:an?|any|every|each|another|some|my|your|his|her|their|\d+|draws?|drew|makes?|sketch|takes?|took) "
    rf"(?:[\w-]+ ){{0,3}}?{_FIGURES}\b",
    re.IGNORECASE,
)
#: "As shown in the figure", "the figure below", "the shaded part of the figure"; not 如图书馆, "such as a library".
_CHINESE = re.compile(r"如(?:下|上|左|右|附)?图(?!书|像)|(?:下|左|右|附)图(?!像)|图\s?\d*\s?(?:中?所示|示)|图中的?阴影")


class NeedsPictureSection(TextRule):
    """The text problem neither embeds nor refers to a missing image.

    With `code: enough`, drawing code (`[asy]`, TikZ) counts as the image.
    """

    name: Literal["needs_picture"] = "needs_picture"
    stages: tuple[StageName, ...] = (Stage.TEXT.value,)
    code: Literal["missing", "enough"] = "missing"

    def judge(self, question: Question) -> Verdict:
        """The verdict on the problem's text; a problem with an image is kept."""
        found = "" if question.image_path else missing(question.problem, self)
        return self.verdict(question, not found, Reason.NEEDS_PICTURE if found else Reason.KEPT, found)


def missing(text: str, section: NeedsPictureSection) -> str:
    """The quoted words by which a text embeds or refers to an image, "" for none."""
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
    """The first figure that is referred to as known, unless the text before introduces one."""
    found = _NAMED.search(line)
    return None if found is None or _INTRODUCED.search(line, 0, found.start()) else found
