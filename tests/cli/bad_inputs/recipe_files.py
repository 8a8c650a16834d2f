"""Recipes that are no ordinary YAML file: what they say, what they are, and what they extend."""

import os
import socket
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

from tests.cli.bad_inputs.corpus import Case

#: A recipe on whose text nothing is wrong; the cases add to it.
GOOD = """name: small
models: {policy: {engine: openai, model: m, base_urls: ["http://127.0.0.1:9/v1"]}}
text: {source: {kind: problems, path: text}}
rollouts: {model: policy}
"""
_NINE = ", ".join(["*{0}"] * 9)
_LETTERS = "abcdefgh"


def _laughs(begin: str, each: str) -> str:
    """Aliases of aliases: nine times as many values in each line."""
    lines = [f"x{to}: &{to} {each.format(_NINE.format(of))}" for of, to in pairwise(_LETTERS)]
    return "\n".join([f"xa: &a {begin}", *lines, ""])


#: What is added to a good recipe -> what the sentence says of it.
TEXTS: dict[str, tuple[str, str]] = {
    "a key twice": ("name: other\n", "the key 'name' is given twice; leave one of them out .line 5"),
    "a key twice, once in quotes": ('"name": other\n', "the key 'name' is given twice"),
    "a key twice inside": ("split: {val: 0.1, val: 0.2}\n", "the key 'val' is given twice"),
    "a key twice in a list": ("x: [{a: 1, a: 2}]\n", "the key 'a' is given twice"),
    "a number twice as a key": ("x: {1: a, 1: b}\n", "the key '1' is given twice"),
    "two merges": ("x: &x {a: 1}\ny: {<<: *x, <<: *x}\n", "the key '<<' is given twice"),
    "5,000 digits": (f"seed: {'9' * 5000}\n", "a number or a date that is too long; put it in quotes"),
    "5,000 digits below zero": (f"seed: -{'9' * 5000}\n", "a number or a date that is too long"),
    "5,000 hexadecimal digits": (f"seed: 0x{'f' * 5000}\n", "a number or a date that is too long"),
    "5,000 binary digits": (f"seed: 0b{'1' * 5000}\n", "a number or a date that is too long"),
    "5,000 octal digits": (f"seed: 0{'7' * 5000}\n", "a number or a date that is too long"),
    "a number in base 60": (f"seed: {':'.join(['59'] * 50_000)}\n", "a number or a date that is too long"),
    "a fraction in base 60": (f"seed: {':'.join(['59'] * 50_000)}.5\n", "a number or a date that is too long"),
    "a fraction of 5,000 digits": (f"seed: 0.{'9' * 5000}\n", "a number or a date that is too long"),
    "a number of 65 bits": ("seed: 18446744073709551616\n", "a whole number of more than 64 bits; put it in quotes"),
    "a number of 65 bits in base 60": ("seed: 50:59:59:59:59:59:59:59:59:59:59:59\n", "more than 64 bits"),
    "a month 13": ("seed: 2026-13-01\n", "a date that is none"),
    "a day 0": ("seed: 2026-01-00\n", "a date that is none"),
    "an hour 99": ("seed: 2026-01-01 99:00:00\n", "a date that is none"),
    "a zone 99 hours away": ("seed: 2026-01-01T00:00:00+99:00\n", "a date that is none"),
    "a year 0": ("seed: 0000-01-01\n", "a date that is none"),
    "a second of 5,000 digits": (f"seed: 2026-01-01T00:00:00.{'9' * 5000}\n", "a number or a date that is too long"),
    "100,000 brackets": (f"x: {'[' * 100_000}\n", "nested more than 32 deep .line 5"),
    "100,000 braces": (f"x: {'{a: ' * 100_000}\n", "nested more than 32 deep"),
    "100,000 dashes": (f"x:\n  {'- ' * 100_000}\n", "nested more than 32 deep"),
    "100,000 question marks": (f"x:\n  {'? ' * 100_000}\n", "nested more than 32 deep"),
    "300 indents": ("".join(f"{' ' * depth}x:\n" for depth in range(300)), "nested more than 32 deep"),
    "lists of lists of lists": (_laughs("[0, 0, 0, 0]", "[{}]"), "more than 50,000 values, those of aliases counted"),
    "mappings of mappings": (
        _laughs("{k: 0}", "{{p: [{0}], q: [{0}]}}"),
        "more than 50,000 values, those of aliases counted",
    ),
    "merges of merges": (_laughs("{k: 0}", "{{<<: [{}]}}"), "more than 50,000 values, those of aliases counted"),
    "texts by alias": (_laughs("[" + "x" * 1000 + "]", "[{}]"), "more than 50,000 values"),
    "a list in itself": ("x: &x [*x]\n", "an alias names what it is part of .line 5"),
    "a mapping in itself": ("x: &x {y: *x}\n", "an alias names what it is part of"),
    "a merge of itself": ("x: &x {<<: *x}\n", "an alias names what it is part of"),
    "an alias of nothing": ("x: *nothing\n", "undefined alias"),
    "200,000 values": (f"x: [{'0,' * 200_000}]\n", "more than 50,000 values"),
    "60,000 keys": ("".join(f"k{number}: 0\n" for number in range(60_000)), "more than 50,000 values"),
    "more than a megabyte": (f"x: {'y' * 1_000_001}\n", "larger than 1,000,000 bytes"),
    "a program as a tag": ("x: !!python/object/apply:os.system [touch ran]\n", "tags such as !!int"),
    "a module as a tag": ("x: !!python/module:antigravity\n", "tags such as !!int"),
    "a tag of its own": ("x: !mine 1\n", "tags such as !!int"),
    "an integer that is none": ("x: !!int ''\n", "tags such as !!int"),
    "a truth that is none": ("x: !!bool perhaps\n", "tags such as !!int"),
    "a date that is none by its tag": ("x: !!timestamp soon\n", "tags such as !!int"),
    "bytes that are none": ("x: !!binary '%'\n", "tags such as !!int"),
    "a set": ("x: !!set {a, b}\n", "tags such as !!int"),
    "a list as a key": ("? [a, b]\n: c\n", "unhashable key"),
    "a mapping as a key": ("? {a: b}\n: c\n", "unhashable key"),
    "half a character": ('x: "\\ud800"\n', "invalid Unicode character"),
    "half a character as a key": ('"\\udfff": x\n', "invalid Unicode character"),
    "an escape sequence": ("x: \x1b[31m\n", "control characters are not allowed"),
    "a zero byte": ("x: a\x00b\n", "control characters are not allowed"),
    "two documents": ("---\nname: other\n", "expected a single document"),
    "a tab": ("x:\n\t- y\n", "cannot start any token"),
    "an open quote": ('x: "y\n', "scanning a quoted scalar"),
    "a directive of another version": ("%YAML 9.9\n---\nx: y\n", "could not find expected|found incompatible|expected"),
}


def _build(text: str) -> list[str]:
    Path("recipe.yaml").write_text(text)
    return ["build", "recipe.yaml", "--dry-run"]


def _extending(text: str) -> list[str]:
    Path("base.yaml").write_text(text)
    Path("middle.yaml").write_text("extends: base.yaml\nseed: 1\n")
    return _build("extends: middle.yaml\nseed: 2\n")


def _kept(text: str) -> list[str]:
    Path("runs/small").mkdir(parents=True)
    Path("runs/small/recipe.yaml").write_text(text)
    return ["train", "small"]


def _suite(text: str) -> list[str]:
    Path("suite.yaml").write_text(text)
    return ["evaluate", "micro:start", "--suite", "suite.yaml"]


def _allowed(text: str) -> list[str]:
    return ["allow", _build(text)[1]]


def _of_text(how: str, make: Callable[[str], list[str]], name: str, where: str) -> Case:
    added, says = TEXTS[name]
    return Case(f"{how}: {name}", lambda folder: make(GOOD + added), rf"{where} is (not valid|no) YAML: .*({says})")


def _written(name: str) -> str:
    Path(name).write_text(GOOD)
    return name


def _fifo(name: str) -> str:
    os.mkfifo(name)
    return name


def _socket(name: str) -> str:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(name)
    return name


def _folder(name: str) -> str:
    Path(name).mkdir()
    return name


def _link(name: str, target: str) -> str:
    Path(name).symlink_to(target)
    return name


def _odd(what: str, make: Callable[[], str], says: str) -> list[Case]:
    """One that is no ordinary file, under every verb that takes a recipe."""

    def words(*before: str, after: tuple[str, ...] = ()) -> Callable[[Path], list[str]]:
        return lambda folder: [*before, make(), *after]

    verbs = {
        "build": words("build"),
        "build --dry-run": words("build", after=("--dry-run",)),
        "train": words("train"),
        "allow": words("allow"),
    }
    return [Case(f"{verb}: {what}", made, says) for verb, made in verbs.items()]


def _base(what: str, named: str, says: str, make: Callable[[], object] = lambda: None) -> Case:
    def words(folder: Path) -> list[str]:
        make()
        return _build(f"extends: {named}\n{GOOD}")

    return Case(f"extends: {what}", words, says)


def _chain(count: int) -> None:
    for number in range(count):
        Path(f"{number}.yaml").write_text(f"extends: {number + 1}.yaml\n")
    Path(f"{count}.yaml").write_text(GOOD)


_UNREAD = r"recipe .* cannot be read \(.+\); check the path"
_IN_RUNS = ("a key twice", "5,000 digits", "a month 13", "100,000 brackets", "mappings of mappings", "a list in itself")
CASES = [
    *(_of_text("build", _build, name, "recipe.yaml") for name in TEXTS),
    *(_of_text("extends", _extending, name, "base.yaml") for name in TEXTS),
    *(_of_text("a run", _kept, name, "small/recipe.yaml") for name in _IN_RUNS),
    *(_of_text("a suite", _suite, name, "suite.yaml") for name in _IN_RUNS),
    *(_of_text("allow", _allowed, name, "recipe.yaml") for name in _IN_RUNS),
    *_odd("300 letters", lambda: "x" * 300, "There is no run at .*; `capcurriculum runs` lists those there are"),
    *_odd("300 letters of a file", lambda: "x" * 300 + ".yaml", _UNREAD),
    *_odd("a file in a file", lambda: f"{_written('file')}/recipe.yaml", _UNREAD),
    *_odd("a FIFO", lambda: _fifo("recipe.yaml"), rf"{_UNREAD}|no ordinary file"),
    *_odd("a socket", lambda: _socket("recipe.yaml"), _UNREAD),
    *_odd("a folder", lambda: _folder("recipe.yaml"), _UNREAD),
    *_odd("a link to itself", lambda: _link("recipe.yaml", "recipe.yaml"), _UNREAD),
    *_odd("a link to nothing", lambda: _link("recipe.yaml", "nothing.yaml"), _UNREAD),
    *_odd("a link to a device that never ends", lambda: _link("recipe.yaml", "/dev/zero"), _UNREAD),
    _base("itself", "recipe.yaml", "extends itself .*; leave out one"),
    _base("a list of files", "[a.yaml]", "extends must name one YAML file, such as base.yaml"),
    _base("no YAML", "recipe.py", "extends must name one YAML file"),
    _base("a name with a zero byte", '"a\\0b.yaml"', "extends must name one YAML file"),
    _base("5,000 letters", "x" * 5000 + ".yaml", "extends must name one YAML file"),
    _base("300 letters", "x" * 300 + ".yaml", _UNREAD),
    _base("an absolute path", "/etc/passwd.yaml", "outside of its folder; copy it there"),
    _base("a folder above", "../recipe.yaml", "outside of its folder; copy it there"),
    _base("a link out of the folder", "out.yaml", "outside of its folder", lambda: _link("out.yaml", "/etc/x.yaml")),
    _base("a link to itself", "x.yaml", _UNREAD, lambda: _link("x.yaml", "x.yaml")),
    _base("a FIFO", "pipe.yaml", _UNREAD, lambda: _fifo("pipe.yaml")),
    _base("a folder", "folder.yaml", _UNREAD, lambda: _folder("folder.yaml")),
    _base("nothing", "nothing.yaml", _UNREAD),
    _base("no mapping", "list.yaml", "no mapping of keys", lambda: Path("list.yaml").write_text("[1]")),
    _base("20 files", "0.yaml", "More than 16 recipes extend one another.*merge some", lambda: _chain(20)),
    _base("2,000 files", "0.yaml", "More than 16 recipes extend one another.*merge some", lambda: _chain(2000)),
]
