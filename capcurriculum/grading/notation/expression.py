r"""LaTeX or ASCII mathematics as a tree, by the conventions that people write answers in.

`1/2x` is `(1/2)x`; `\sin 2x` takes the whole product, `\sin^2 x` is `(\sin x)^2`, `\sin^{-1}` the inverse; `3\frac12`
is a mixed number; `x^10` has the exponent ten; a lone `e` is Euler's number and a lone `i` the imaginary unit.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction

from capcurriculum.grading.notation.tokens import Token, symbols
from capcurriculum.grading.notation.tree import Broken, Call, Number, Symbol, Tree, Unevaluated, Unread
from capcurriculum.grading.notation.vocabulary import FUNCTIONS, LETTERS, words

_DEPTH = 40

_NAMED = words(
    """
    Pr arg deg det dim gcd inf ker lcm max min sup
    """
)
#: A name with a mark on it is another name.
_MARKED = words(
    """
    angle bar ddot dot hat mathbb mathcal mathfrak mathscr measuredangle overleftarrow overline overrightarrow
    overset tilde triangle underset vec widehat widetilde
    """
)
#: An operation that is still to be carried out.
_TODO = words(
    """
    bigcap bigcup iiint iint int lim liminf limsup oint prod sum
    """
)
_TIMES, _OVER = frozenset(["*", r"\times", r"\cdot", r"\ast"]), frozenset(["/", r"\div"])
_PAIRS = {"(": ")", "[": "]", "{": "}", r"\{": r"\}", r"\lfloor": r"\rfloor", r"\lceil": r"\rceil"}
_ABS = frozenset(["|", r"\lvert", r"\vert", r"\rvert", r"\|"])
_APPLIED = frozenset("fgFG")
_INVERSE = {"sin": "arcsin", "cos": "arccos", "tan": "arctan", "cot": "arccot", "sec": "arcsec", "csc": "arccsc"}
_OTHER_NAMES = {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}
MATRICES = words(
    """
    Bmatrix Vmatrix array bmatrix matrix pmatrix smallmatrix vmatrix
    """
)


def parse(found: Sequence[Token]) -> Tree:
    """The tree of the tokens of one expression.

    Raises:
        Words: it is language.
        Broken: it is no complete expression.
        Unread: it has a sign that is not known here; `Unevaluated` where an operation is left to do.
    """
    parser = _Parser(list(symbols(found)))
    tree = parser.sum()
    if parser.peek():
        raise Broken(f"'{parser.peek()}' follows a complete expression")
    return tree


class _Parser:
    """Recursive descent over tokens; every method returns the tree it has read and leaves `at` behind it."""

    def __init__(self, found: list[Token]) -> None:
        self.found, self.at, self.depth = found, 0, 0

    def peek(self, ahead: int = 0) -> str:
        place = self.at + ahead
        return self.found[place].text if place < len(self.found) else ""

    def token(self) -> Token | None:
        return self.found[self.at] if self.at < len(self.found) else None

    def kind(self) -> str:
        return self.found[self.at].kind if self.at < len(self.found) else ""

    def take(self) -> Token:
        if self.at >= len(self.found):
            raise Broken("it ends where an operand is due")
        self.at += 1
        return self.found[self.at - 1]

    def sum(self) -> Tree:
        terms = [self._signed()]
        while self.peek() in ("+", "-"):
            terms.append(self._signed())
        return terms[0] if len(terms) == 1 else Call("add", tuple(terms))

    def _signed(self) -> Tree:
        signs = 0
        while self.peek() in ("+", "-"):
            signs += self.take().text == "-"
        tree = self.product()
        return Call("neg", (tree,)) if signs % 2 else tree

    def product(self) -> Tree:
        above: list[Tree] = [self.factor()]
        below: list[Tree] = []
        while True:
            sign = self.peek()
            if sign in _TIMES or sign in _OVER:
                self.take()
                negative = self.peek() == "-" and bool(self.take())
                other = self.factor()
                (below if sign in _OVER else above).append(Call("neg", (other,)) if negative else other)
            elif self._begins_factor():
                if self.kind() == "number":
                    raise Broken("a number follows a factor without a sign between them")
                above.append(self.factor())
            else:
                tree = above[0] if len(above) == 1 else Call("mul", tuple(above))
                return (
                    Call("div", (tree, below[0] if len(below) == 1 else Call("mul", tuple(below)))) if below else tree
                )

    def _begins_factor(self) -> bool:
        token = self.token()
        if token is None:
            return False
        if token.kind in ("number", "symbol", "segment", "name", "text", "begin"):
            return True
        if token.kind == "command":
            closes = token.text in (r"\rfloor", r"\rceil", r"\mid") or (token.text in _ABS and self.bars > 0)
            return token.text not in _TIMES | _OVER and not closes
        return token.text in ("(", "[", "{") or (token.text == "|" and self._opens_abs())

    def _opens_abs(self) -> bool:
        """Whether a bar begins an absolute value here: inside one, the next bar ends it."""
        return self.bars == 0

    bars = 0

    def factor(self) -> Tree:
        tree = self.postfix(self.primary())
        if self.peek() == "^":
            self.take()
            exponent = self.exponent()
            tree = self.postfix(Call("pow", (tree, exponent)))
        return tree

    def exponent(self) -> Tree:
        sign = self.take().text if self.peek() in ("+", "-") else ""
        tree = self.primary()
        if self.peek() == "^":
            self.take()
            with self.deeper():
                tree = Call("pow", (tree, self.exponent()))
        return Call("neg", (tree,)) if sign == "-" else tree

    def postfix(self, tree: Tree) -> Tree:
        for _ in range(_DEPTH):
            sign = self.peek()
            if sign == "!":
                self.take()
                tree = Call("factorial", (tree,))
            elif sign == "°":
                self.take()
                tree = Call("degrees", (tree,))
            elif sign == "%":
                self.take()
                tree = Call("div", (tree, Number(Fraction(100))))
            elif sign == "'" and isinstance(tree, Symbol):
                self.take()
                tree = Symbol(tree.name + "'")
            elif sign == "_" and isinstance(tree, Symbol):
                self.take()
                tree = Symbol(f"{tree.name}_{self.raw()}")
            else:
                return self._applied(tree)
        raise Broken("one sign follows another without end")

    def _applied(self, tree: Tree) -> Tree:
        """`f(x)` as a function of an unknown rule; `n(n+1)` stays a product."""
        name = tree.name.rstrip("'").partition("_")[0] if isinstance(tree, Symbol) else ""
        if name in _APPLIED and self.peek() == "(":
            return Call("apply", (tree, *self.arguments()))
        token = self.token()
        if isinstance(tree, Symbol) and token is not None and token.kind == "number" and not token.spaced:
            raise Broken("a digit follows a letter")
        return tree

    def arguments(self) -> tuple[Tree, ...]:
        close = _PAIRS[self.take().text]
        args = [self.sum()]
        while self.peek() == ",":
            self.take()
            args.append(self.sum())
        self.expect(close)
        return tuple(args)

    def expect(self, sign: str) -> None:
        if self.take().text != sign:
            raise Broken(f"'{sign}' is missing")

    def group(self) -> Tree:
        """A braced argument, or one token."""
        if self.peek() != "{":
            return self.primary()
        self.take()
        bars, self.bars = self.bars, 0
        tree = self.sum()
        self.bars = bars
        self.expect("}")
        return tree

    def raw(self) -> str:
        """The text of a braced argument, or of one token, as a name."""
        if self.peek() != "{":
            return self.take().text
        depth = 0
        parts: list[str] = []
        while True:
            text = self.take().text
            depth += (text == "{") - (text == "}")
            if depth == 0:
                return "".join(parts[1:])
            parts.append(text)

    @contextmanager
    def deeper(self) -> Iterator[None]:
        """One level further down; so deep that no recursion is in danger, and deeper than any honest answer."""
        self.depth += 1
        if self.depth > _DEPTH:
            raise Broken("it is nested too deeply")
        yield
        self.depth -= 1

    def primary(self) -> Tree:
        """A number, a name, a function with its argument, a bracket."""
        with self.deeper():
            return self._primary()

    def _primary(self) -> Tree:
        token = self.take()
        match token.kind:
            case "number":
                return self._number(token)
            case "symbol":
                return Symbol(token.text)
            case "segment":  # in `AB/CD` and `AB^2` they stay together
                return Call("segment", tuple(Symbol(letter) for letter in token.text))
            case "text":
                return (
                    Symbol(token.text.strip()) if len(token.text.strip()) == 1 else Symbol(f"text {token.text.strip()}")
                )
            case "name":
                return self._function(token.text) if token.text in FUNCTIONS else self._command(token.text)
            case "begin":
                return self._matrix(token.text)
            case "command":
                return self._command(token.text)
        return self._bracketed(token.text)

    def _bracketed(self, sign: str) -> Tree:
        if sign in _ABS:
            self.bars += 1
            tree = self.sum()
            self.bars -= 1
            if self.take().text not in _ABS:
                raise Broken("a bar is missing")
            return Call("abs", (tree,))
        if sign not in ("(", "[", "{"):
            raise Broken(f"'{sign}' stands where an operand is due")
        bars, self.bars = self.bars, 0
        tree = self.sum()
        self.bars = bars
        self.expect(_PAIRS[sign])
        return tree

    def _number(self, token: Token) -> Tree:
        decimal = "." in token.text or "e" in token.text.lower()
        if self.peek() == "_":
            self.take()
            return Symbol(f"{token.text.lstrip('0')}_{self.raw()}")
        value = Fraction(token.text)
        return Number(value, decimal) if decimal else self._mixed(value)

    def _mixed(self, whole: Fraction) -> Tree:
        start = self.at
        part: Tree | None = None
        following = self.token()
        if following is not None and following.text == r"\frac":
            part = self.primary()
        elif following is not None and following.kind == "number" and following.spaced and self.peek(1) == "/":
            above = self.take()
            self.take()
            if self.kind() == "number" and "." not in above.text + self.peek():
                part = Call("div", (Number(Fraction(above.text)), Number(Fraction(self.take().text))))
        match part:
            case Call("div", (Number(top), Number(bottom))):
                if not 0 < top < bottom:
                    raise Broken("a whole number stands before an improper fraction")
                return Number(whole + top / bottom)
        self.at = start
        return Number(whole)

    def _command(self, command: str) -> Tree:
        name = command.removeprefix("\\")
        if name == "sqrt":
            return self._root()
        if name in FUNCTIONS:
            return self._function(name)
        if name in ("frac", "binom"):
            args = (self.group(), self.group())
            return Call("div" if name == "frac" else "binomial", args)
        if command in _PAIRS:
            tree = self.sum()
            self.expect(_PAIRS[command])
            return Call(name.removeprefix("l"), (tree,))
        if command in _ABS:
            return self._bracketed("|")
        if name in ("pi", "infty"):
            return Call(name, ())
        if name in _MARKED:
            return self._marked(name)
        if name in _NAMED:
            if self.peek() in ("(", "{"):
                return Call(name, self.arguments())
            return Call(name, (self.product(),))
        if name in LETTERS:
            return Symbol(r"\ldots" if name in ("dots", "cdots") else command)
        if name == "dollar":
            return self.factor()
        raise (Unevaluated if name in _TODO else Unread)(command)

    def _root(self) -> Tree:
        order: Tree = Number(Fraction(2))
        if self.peek() == "[":
            self.take()
            order = self.sum()
            self.expect("]")
        return Call("root", (self.group(), order))

    def _marked(self, mark: str) -> Tree:
        if mark in ("angle", "triangle", "measuredangle") and self.peek() != "{":
            letters = [self.take().text]
            while self.kind() in ("symbol", "segment"):
                letters.append(self.take().text)
            return Symbol(f"\\{mark} {''.join(letters)}")
        name = self.raw()
        if mark == "overline" and len(name) == 2 and name.isupper():  # the segment AB
            return Call("segment", tuple(map(Symbol, name)))
        return Symbol(f"\\{mark} {name}")

    def _function(self, name: str) -> Tree:
        name = _OTHER_NAMES.get(name, name)
        exponent = base = None
        if name == "sqrt":
            return Call("root", (self.group() if self.peek() != "(" else self.arguments()[0], Number(Fraction(2))))
        for _ in range(2):
            if self.peek() == "_" and name == "log" and base is None:
                self.take()
                base = self.group()
            elif self.peek() == "^" and exponent is None:
                self.take()
                exponent = self.exponent()
        if exponent == Call("neg", (Number(Fraction(1)),)) and name in _INVERSE:
            name, exponent = _INVERSE[name], None
        argument = self.arguments()[0] if self.peek() == "(" else self._plain_argument()
        tree = Call(name, (argument,) if base is None else (argument, base))
        return tree if exponent is None else Call("pow", (tree, exponent))

    def _plain_argument(self) -> Tree:
        """What a function without brackets takes: factors up to a sign or another function."""
        factors = [self.factor()]
        while self._begins_factor() and self.kind() not in ("number", "name") and not self._at_function():
            factors.append(self.factor())
        return factors[0] if len(factors) == 1 else Call("mul", tuple(factors))

    def _at_function(self) -> bool:
        return self.peek().removeprefix("\\") in FUNCTIONS or self.peek() == "("

    def _matrix(self, env: str) -> Tree:
        if env not in MATRICES:
            raise Unread(env)
        rows: list[list[Tree]] = [[]]
        while self.kind() != "end":
            rows[-1].append(self.sum())
            if self.peek() == "&":
                self.take()
            elif self.kind() == "row":
                self.take()
                rows.append([])
            elif self.kind() != "end":
                raise Broken("a cell of a matrix does not end")
        self.take()
        cells = [Call("row", tuple(row)) for row in rows if row]
        tree = Call("matrix", tuple(cells))
        return Call("determinant", (tree,)) if env in ("vmatrix", "Vmatrix") else tree
