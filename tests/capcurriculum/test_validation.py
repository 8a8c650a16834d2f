"""Places that pydantic names otherwise than the file, and values that are not repeated."""

import pytest
import yaml

from capcurriculum import recipe
from capcurriculum.errors import RecipeError
from tests.cli.test_typical_mistakes import RECIPE

#: What stands in the recipe, what is written instead -> what is said.
CASES = {
    ("name: try", "name: try\n1: x"): "1 is no text; put it in quotes",
    ("split:", "publish: {names: {1: a}}\nsplit:"): "publish.names.1: must be a text, not 1; put it in quotes",
    ("[small]", "[[small]]"): "perception.probe.solvers[0]: must be a text, not a list",
    ("answer: answer", "answer: 5"): "text.source.columns.answer: must be a text, not 5; put it in quotes",
    ("answer: answer", "answer: answer, options: [A, 2]"):
        "text.source.columns.options[1]: must be a text, not 2; put it in quotes",
    ("answer: answer", "answer: {kind: numbr}"):
        "text.source.columns.answer.kind: must be one of choice, number, quantity, expression, equation, set, list, "
        "tuple, interval, matrix, text, not 'numbr' (did you mean number?)",
    ("perception, rollouts", "perception, {name: contamination, signatures: [a], text_words: 6}, rollouts"):
        "filters[3].text_words: must be one of 5, 8, 13, not 6",
    ("backbone: micro", "backbone: micro\n  order: [merged]"): "training.order: must be a text or a mapping of keys, "
        "not a list",
    ("text:\n", "capabilities: {charts: {kind: perception, source: {kind: captions, path: p, columns: {}}, "
     "teacher: {modle: writer}, probe: {solvers: small}}}\ntext:\n"):
        "capabilities.charts.teacher.modle: there is no such key (did you mean model?)",
    ("model: qwen", "model: qwen, headers: {X-Key: 123456789}"): "models.writer.headers.X-Key: must be a text",
    ("model: qwen", "model: qwen, api_key: sk-12345"):
        "models.writer.api_key: there is no such key (did you mean api_key_env?)",
}  # fmt: skip


@pytest.mark.parametrize("edit", CASES)
def test_a_place_is_what_stands_in_the_file(edit: tuple[str, str]) -> None:
    assert edit[0] in RECIPE
    with pytest.raises(RecipeError) as caught:
        recipe.parse(yaml.safe_load(RECIPE.replace(*edit, 1)), "r")
    assert str(caught.value) == f"The recipe r is not right: {CASES[edit]}."


def test_all_faults_are_said_at_once() -> None:
    text = RECIPE.replace("k: 8", "k: 0").replace("val: 0.1", "vall: 0.1").replace("backbone: micro", "backbone: macro")
    with pytest.raises(RecipeError) as caught:
        recipe.parse(yaml.safe_load(text), "r")
    for said in ("rollouts.k: must be above 0", "split.vall: there is no such key", "there is no backbone 'macro'"):
        assert said in str(caught.value)
