"""Drop text problems that ask for a proof alone, which have no final answer to compare.

A problem that asks for a value too is kept, such as "show that the sequence converges and find its limit", "find, with
proof, all n" and "is it possible? Justify".
"""

import re
from typing import Literal

from capcurriculum.reasons import Reason
from capcurriculum.recipe.stages import StageName
from capcurriculum.rows import Question, Stage, Verdict
from filters.base import TextRule
from filters.words import one_line, quoted

#: Characters of the claim in a verdict's detail, and signs of the clause before it.
_FOLLOWS = 40
_SIGNS = " .,;:!?)]}$*>。，；：）"

#: The beginning of a clause: after a sign, a formula's letter, the label of a part, or a connective. "We can show
#: that", "a show that" and "tries to prove that" are no requests.
_BEGINS = (
    r"(?:\A|(?<=[^\w\s])\s*|(?<!\w)(?:[a-h]|i{1,3}|iv|v|\d)[).]\s*"
    r"|(?<![\w'’])(?:then|and|or|also|hence|thus|therefore|please|now|[b-hj-z]|us(?:e|ing) [^.?!]{1,40} to)\s+)"
)
_WHAT = r"(?:\s*[:$]|\s+(?:that\b|the following\b|directly\b|algebraically\b|why\b|\\[\[(]))"
_ENGLISH = re.compile(
    rf"{_BEGINS}(?:(?:prove|disprove)\b|(?:show|demonstrate|verify|establish|deduce|justify|explain){_WHAT}"
    r"|(?:give|provide|write|present|construct|supply) (?:an?|the) (?:[\w-]+ ){0,2}?proof\b)",
    re.IGNORECASE,
)
#: Chinese (but not "can be proved", "was proved" and "the proof of"), French, German, Spanish, Italian.
_OTHERS = re.compile(
    r"求证|试证|(?<![被已可以能了的])证明(?!了|过程)"
    r"|\b(?:d[ée]montre[rz]|montre[rz]|prouve[rz]) qu(?:e\b|['’])|\b(?:beweisen?|zeigen?)(?: sie)?,? ?dass\b"
    r"|\b(?:demuestr[ae]|demostrar|pruebe|probar) que\b|\b(?:dimostra(?:re|te)|mostra(?:re|te)) che\b",
    re.IGNORECASE,
)
#: A question, or a request for a value.
_VALUE = re.compile(
    rf"[?？؟]|{_BEGINS}(?:(?:find|determine|compute|calculate|evaluate|solve|simplify|express|state|list|write down"
    r"|count|estimate|identify|decide|compare|answer|fill in|maximi[sz]e|minimi[sz]e|what|how (?:many|much)|which)\b"
    r"|give\b(?! (?:an?|the) (?:[\w-]+ ){0,2}?proof))"
    r"|(?<![要需])求(?!证)|计算|多少"
    r"|\b(?:trouve[rz]|calcule[rz]?|déterminez|d[ée]terminer|bestimmen?|berechnen?|finden sie|halle|hallar|encuentr[ae]"
    r"|trova(?:re|te)|calcola(?:re|te))\b",
    re.IGNORECASE,
)


class AsksForProofSection(TextRule):
    """The text problem asks for more than a proof."""

    name: Literal["asks_for_proof"] = "asks_for_proof"
    stages: tuple[StageName, ...] = (Stage.TEXT.value,)

    def judge(self, question: Question) -> Verdict:
        """The verdict on the problem's text."""
        found = asked(question.problem)
        return self.verdict(question, not found, Reason.ASKS_FOR_PROOF if found else Reason.KEPT, found)


def asked(text: str) -> str:
    """The quoted words by which a text asks for a proof alone, "" if it does not."""
    line = one_line(text)
    found = _ENGLISH.search(line) or _OTHERS.search(line)
    if found is None or _VALUE.search(line):
        return ""
    return quoted(line[found.start() : found.end() + _FOLLOWS].lstrip(_SIGNS))
