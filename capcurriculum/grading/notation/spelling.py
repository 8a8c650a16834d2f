r"""One spelling for what is typeset in many ways: `60°`, `2√3`, `\dfrac12`, `x²`, dollar signs, fonts, thousands.

What an answer says is never changed here. Upright words stay marked (`\text{cm}`), since a unit and a product of
symbols are told apart by that mark.
"""

import re
import unicodedata

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_SUPERSCRIPT_RUN = re.compile(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
_SUBSCRIPT_RUN = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SYMBOLS = {
    "−": "-", "–": "-", "—": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "∗": "*", "÷": "/", "±": r"\pm ",
    "∓": r"\mp ", "％": "%", "º": "°", "˚": "°", "℃": "°C", "℉": "°F", "π": r"\pi ", "θ": r"\theta ", "∞": r"\infty ",
    "≤": r"\le ", "≥": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ",
    "∠": r"\angle ", "△": r"\triangle ", "∅": r"\emptyset ", "⊥": r"\perp ", "∥": r"\parallel ", "′": "'", "’": "'",
    "‘": "'", "“": '"', "”": '"', "½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}", "¼": r"\frac{1}{4}",
    "¾": r"\frac{3}{4}", "⅛": r"\frac{1}{8}", "∶": ":", "，": ", ", "。": ".", "、": ", ", "α": r"\alpha ",
    "β": r"\beta ", "γ": r"\gamma ", "λ": r"\lambda ", "μ": r"\mu ", "ω": r"\omega ", "φ": r"\phi ",
}  # fmt: skip
_SYMBOL = re.compile("|".join(map(re.escape, _SYMBOLS)))
_ROOT = re.compile(r"√\s?(?:\(([^()]{1,80})\)|\{([^{}]{1,80})\}|(\d+(?:\.\d+)?|[A-Za-z]))")
#: Fonts that leave words upright, and those that leave symbols symbols.
_UPRIGHT = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal|up)?|mathrm|mathsf|mbox|hbox|operatorname\*?|emph|underline)\s?\{"
)
_SLANTED = re.compile(r"\\(?:mathbf|mathit|boldsymbol|bm|boxed|fbox|displaystyle)\s?(?=\{)|\\(?:text)?color\s?\{\w*\}")
_ROMAN = re.compile(r"\{\s*\\rm(?![A-Za-z])\s*([^{}]*)\}")
_SWITCH = re.compile(
    r"\\(?:bf|rm|it|sf|tt|displaystyle|textstyle|limits|left|right|[bB]igg?[lr]?|tiny|scriptsize|footnotesize|small|normalsize"
    r"|large|Large|LARGE|huge|Huge)(?![A-Za-z])\.?"
)
_SPACING = re.compile(r"\\[,;:> ]|\\q?quad|\\(?:h|v)space\*?\{[^{}]*\}|~|\\hfill\b|\\phantom\{[^{}]*\}")
_DELIMITERS = re.compile(r"\$|\\[()\[\]]")
_DEGREES = re.compile(
    r"\^\s?(?:\{\s?\\circ\s?\}|\\circ(?![A-Za-z])|\{\s?°\s?\}|°)|\\degrees?(?![A-Za-z])|\\circ(?![A-Za-z])(?=\s*$)"
)
_FRACTIONS = re.compile(r"\\[dtc]frac(?![A-Za-z])")
_SHORT_FRACTION = re.compile(r"\\(frac|binom)\s*(\{[^{}]*\}|[0-9A-Za-z])\s*(\{|[0-9A-Za-z])")
_REPEATING = re.compile(r"(?<![\d.])(\d*)\.(\d*)\\(?:overline|bar|dot)\s?\{?(\d{1,30})\}?")
#: A thin space, a brace or a space between groups of three digits.
_GROUPED = re.compile(
    r"(?<![\d.,])\d{1,3}(?:(?:,?\\[,! ]\s?|\{,\}\s?|,\\! ?)\d{3})+(?!\d)"
    r"|(?<![\d.,:/^_{] )(?<![\d.,])\d{1,3}(?: \d{3})+(?![\d/]| \d)"
)
_TIMES = re.compile(r"(?<=\d) ?[xX] ?(?=10\^)")
_POWER = re.compile(r"(?<=[\w)\]}]) ?\*\* ?(?=[-\w({\\])")
_ASIDE = re.compile(r"(?<=[\d}])(?: ?\\text\{ ?| )\([a-z][a-z -]{2,}\)\}?$")
_TEXT_POWER = re.compile(r"(\\text\{[^{}]*)\^\{(-?\d)\}")
_EDGE = " \t\r\n.,;:"
_INNER_TEXT = re.compile(r"\\text\{([^{}]*)\}")


def clean(text: str) -> str:
    r"""`text` with one spelling of each sign, without layout, enclosing delimiters and final punctuation.

    Upright words come out as `\text{...}` unless they hold digits or relations; degrees as `°`, percent as `%`, a typed
    dollar as `\dollar`. Case and order are kept.
    """
    text = text.translate({0x200B: None, 0xFEFF: None, 0xA0: " ", 0x202F: " ", 0x2009: " "})
    if not text.isascii():
        text = _SUPERSCRIPT_RUN.sub(lambda run: "^{" + run[0].translate(_SUPERSCRIPTS) + "}", text)
        text = _SUBSCRIPT_RUN.sub(lambda run: "_{" + run[0].translate(_SUBSCRIPTS) + "}", text)
        text = _SYMBOL.sub(lambda symbol: _SYMBOLS[symbol[0]], text)
        text = _ROOT.sub(lambda root: r"\sqrt{" + (root[1] or root[2] or root[3]) + "}", text)
        text = unicodedata.normalize("NFKC", text)
    text = _TIMES.sub(r"\\times ", text.strip("`"))
    text = _POWER.sub("^", text).replace("**", "").replace(r"\%", "%").replace(r"\&", "&").replace(r"\_", "_")
    if "\\" in text or "$" in text or "{" in text:
        text = _layout(text)
    if " " in text:
        text = " ".join(text.split())
        text = _GROUPED.sub(_joined, text)
    text = _ASIDE.sub("", text.rstrip(_EDGE)).rstrip(_EDGE)
    return text.lstrip(_EDGE.replace(".", ""))


def _layout(text: str) -> str:
    # Doubled backslashes begin rows inside an environment; anywhere else somebody escaped them twice.
    text = text.replace("\\\\", "\x03" if r"\begin" in text else "\\")
    text = _GROUPED.sub(_joined, text).replace("{,}", "")
    text = text.replace(r"\$", r"\dollar ").replace(r"\!", "")
    text = _DELIMITERS.sub(" ", _SPACING.sub(" ", text))
    text = _SLANTED.sub("", _SWITCH.sub("", _ROMAN.sub(r"\\text{\1}", text)))
    text = _FRACTIONS.sub(r"\\frac", _DEGREES.sub("°", text))
    text = _unwrapped(_UPRIGHT.sub(r"\\text{", text))
    text = _TEXT_POWER.sub(r"\1^\2", text)
    for _ in range(4):
        text, changed = _INNER_TEXT.subn(_words, text)
        if not changed:
            break
    text = text.replace("\x01", r"\text{").replace("\x02", "}")
    text = _REPEATING.sub(_repeating, text)
    for _ in range(3):
        text = _SHORT_FRACTION.sub(_fraction, text)
    return text.replace("\x03", "\\\\")


def _unwrapped(text: str) -> str:
    r"""Without a `\text{}` around the whole of it: nothing there can be a unit."""
    text = text.strip(" \t\r\n").rstrip(_EDGE)
    while text.startswith(r"\text{") and text.endswith("}"):
        depth = 1
        for place in range(6, len(text) - 1):
            depth += (text[place] == "{") - (text[place] == "}")
            if depth == 0:
                return text
        text = text[6:-1].strip(" \t\r\n").rstrip(_EDGE)
    return text


def _joined(digits: re.Match[str]) -> str:
    return re.sub(r"\D", "", digits[0])


def _words(found: re.Match[str]) -> str:
    r"""What stands for `\text{...}`: itself, marked as seen, where it is words; its content where it says more."""
    inner = found[1]
    if re.search(r"[\d\\=<>()]|^\s*$", re.sub(r"(?<=[a-z])\^-?\d", "", inner)):
        return f" {inner} "
    if inner.strip().lower() in ("and", "or"):
        return f" {inner.strip()} "
    return f"\x01{inner}\x02"


def _fraction(found: re.Match[str]) -> str:
    top = found[2] if found[2].startswith("{") else "{" + found[2] + "}"
    bottom = "{" if found[3] == "{" else "{" + found[3] + "}"
    return rf"\{found[1]}{top}{bottom}"


def _repeating(found: re.Match[str]) -> str:
    r"""`0.1\overline{6}` as the fraction it is."""
    whole, first, again = found[1] or "0", found[2], found[3]
    nines = int("9" * len(again)) * 10 ** len(first)
    return rf"\frac{{{int(whole + first + again) - int(whole + first)}}}{{{nines}}}"


def plain_words(text: str) -> str:
    """A text answer as it is compared: without case, quotes, dots, apostrophes' shapes and doubled spaces.

    A dot or comma between digits stays, and so do slashes, hyphens and signs: `3.5`, `1,234`, `12/05`, `A-12`.
    """
    text = _INNER_TEXT.sub(r"\1", clean(text).replace(r"\dollar ", "$"))
    text = text.replace("{", "").replace("}", "").replace('"', "").replace("`", "").strip("'*_ ")
    text = re.sub(r"(?<!\d)[.,]|[.,](?!\d)", " ", text)
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    text = re.sub(r"(?<=\d) (?=%)|(?<=\$) (?=\d)|(?<=[($]) | (?=\))", "", text)
    return " ".join(text.split()).casefold()
