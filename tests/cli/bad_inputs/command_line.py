"""Names and words on the command line."""

from pathlib import Path

from tests.cli.bad_inputs.corpus import Case


def _words(*words: str) -> Case:
    return Case(f"no run: {' '.join(words)}", lambda folder: list(words), r"(There is no|is no) .*nothing")


def _recipe(data: bytes) -> "list[str]":
    Path("recipe.yaml").write_bytes(data)
    return ["build", "recipe.yaml", "--dry-run"]


CASES = [
    *(_words(verb, "nothing") for verb in ("init", "build", "train", "report", "status", "funnel", "card", "publish")),
    Case("an empty recipe", lambda folder: _recipe(b""), "recipe"),
    Case("a recipe that is no YAML", lambda folder: _recipe(b"a: [1, 2"), "recipe.yaml"),
    Case("a recipe with bytes of no text", lambda folder: _recipe(b"name: \xff\xfe\x00"), "recipe.yaml"),
]
