"""Mistakes that a new user makes in a recipe or on the command line, each with its whole sentence.

`typical_mistakes.txt` lists them: `#` names one, `-` stands in the recipe below and `+` is what is written instead,
`$` the command (without one, a dry run of the build), `=` the sentence.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from capcurriculum import cli

RECIPE = """\
name: try
models:
  writer: {engine: openai, model: qwen, base_urls: ["http://127.0.0.1:8000/v1"]}
  small: {engine: transformers, model: "micro:hedging"}
perception:
  source: {kind: captions, path: photos.jsonl, columns: {image: file, caption: text}}
  teacher: {model: writer, skills: {spatial: 1, count: 1}}
  probe: {solvers: [small], arms: [image, caption]}
text:
  source: {kind: problems, path: problems.jsonl, columns: {problem: problem, answer: answer}}
rollouts: {model: small, k: 8, above: 0.1, below: 0.9}
filters: [readable, wellformed, perception, rollouts, difficulty]
split: {val: 0.1, test: 0.1}
curriculum: {orders: [{order: merged}]}
training:
  backbone: micro
  stages: [perception, text]
  knobs: {epochs: 1}
"""
#: Words of the library that reads recipes, which no user should have to know.
FOREIGN = re.compile(
    r"value error|pydantic|\binput\b|extra inputs|field required|type=|discriminator|\btuple\b|<unicode", re.I
)


@dataclass(frozen=True)
class Mistake:
    before: str
    after: str
    words: list[str]
    sentence: str


def _mistakes() -> Iterator[tuple[str, Mistake]]:
    text = Path(__file__).with_name("typical_mistakes.txt").read_text(encoding="utf-8")
    for block in text.strip().split("\n\n"):
        lines = [(line[:1], line[2:]) for line in block.split("\n")]
        said = {mark: "\n".join(rest for sign, rest in lines if sign == mark) for mark in "#-+$="}
        words = (said["$"] or "build recipe.yaml --dry-run").split()
        yield said["#"], Mistake(said["-"], said["+"], words, said["="])


MISTAKES = dict(_mistakes())


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a recipe, its data and a run, without keys and permissions."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in (
        "HF_TOKEN",
        "ARGILLA_API_URL",
        "ARGILLA_API_KEY",
        "OPENAI_API_KEY",
        "TEAM_KEY",
        "TEAM",
        "XDG_CONFIG_HOME",
    ):
        monkeypatch.delenv(name, raising=False)
    Path("photos.jsonl").write_text('{"file": "a.png", "text": "A red cube."}\n')
    Path("problems.jsonl").write_text('{"problem": "1+1?", "answer": "2"}\n')
    Path("data").mkdir()
    Path("runs/small").mkdir(parents=True)
    Path("runs/small/recipe.yaml").write_text(RECIPE.replace("name: try", "name: small"))
    return tmp_path


@pytest.mark.parametrize("name", MISTAKES)
def test_a_typical_mistake_has_its_sentence(name: str, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mistake = MISTAKES[name]
    assert mistake.before in RECIPE
    Path("recipe.yaml").write_text(RECIPE.replace(mistake.before, mistake.after, 1))
    assert cli.main(mistake.words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.replace(f"{desk}/", "") == f"error: {mistake.sentence}\n"
    assert not FOREIGN.search(err)


def test_the_recipe_of_the_mistakes_is_right(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("recipe.yaml").write_text(RECIPE)
    assert cli.main(["build", "recipe.yaml", "--dry-run"]) == 0
    assert capsys.readouterr().err == ""


def test_there_are_enough_of_them() -> None:
    assert len(MISTAKES) >= 60
    assert len({mistake.sentence for mistake in MISTAKES.values()}) >= len(MISTAKES) - 6  # a few are made in two ways
