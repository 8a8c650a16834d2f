r"""Normalized words of texts with LaTeX, which `contamination` compares.

Copies of a problem differ in notation: `\dfrac` for `\frac`, `\(x\)` for `$x$`, `x²` for `x^2`, `≤` for `\leq`. So
signs, and commands for signs or layout, are dropped; a Greek letter is one word in both spellings; adjacent letters and
digits (`2x`) are two words. Functions and roots (`\sin`, `\sqrt`) are kept, since they distinguish short problems.
"""

import polars as pl

from filters.corpus import text_hashes

#: Part of signature files; to be raised when the result of `plain` changes.
VERSION = 1
_WORD = r"\\[a-z]+|\p{L}+|\p{N}+"
_SHORT_FRACTION = r"\\[dtc]?frac\s*(\d)\s*(\d)"
_PLACING = (
    "left right middle big bigl bigr bigg biggl biggr quad qquad hspace vspace displaystyle textstyle limits hline "
    "text textbf textit textrm textsf texttt mathrm mathbf mathit mathsf mathbb mathcal mathfrak boldsymbol "
    "operatorname mbox hbox rm bf it overline underline vec hat bar boxed"
)
_SIGNS = (
    "frac dfrac tfrac cfrac over times cdot div pm mp le leq leqslant ge geq geqslant lt gt ne neq approx equiv "
    "cong sim in notin subset subseteq cup cap setminus partial nabla circ degree angle triangle "
    "perp parallel ldots cdots dots vdots to rightarrow leftarrow implies iff mid vert lvert rvert lfloor rfloor "
    "lceil rceil langle rangle prime star ast bullet"
)
_GREEK = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "varepsilon": "ε", "zeta": "ζ", "eta": "η",
    "theta": "θ", "vartheta": "θ", "iota": "ι", "kappa": "κ", "lambda": "λ", "mu": "μ", "nu": "ν", "xi": "ξ", "pi": "π",
    "rho": "ρ", "sigma": "σ", "tau": "τ", "upsilon": "υ", "phi": "φ", "varphi": "φ", "chi": "χ", "psi": "ψ",
    "omega": "ω",
}  # fmt: skip
#: Signs that distinguish short problems.
_NAMED = {"√": "\\sqrt ", "∑": "\\sum ", "∏": "\\prod ", "∫": "\\int ", "∞": "\\infty "}
_LETTERS = {f"\\{name}": letter for name, letter in _GREEK.items()}
_NO_WORDS = [f"\\{name}" for name in f"{_PLACING} {_SIGNS}".split()]


def plain(text: pl.Expr) -> pl.Expr:
    """Lower-case words joined by spaces (Unicode NFKC); for a text without words `text_hashes.normal`."""
    lower = text.str.normalize("NFKC").str.to_lowercase().str.replace_many(_NAMED)
    token = pl.element().replace(_LETTERS)
    kept = token.filter(~token.is_in(_NO_WORDS)).str.strip_prefix("\\")
    words = lower.str.replace_all(_SHORT_FRACTION, " $1 $2 ").str.extract_all(_WORD).list.eval(kept).list.join(" ")
    return pl.when(words.str.len_bytes() > 0).then(words).otherwise(text_hashes.normal(text))
