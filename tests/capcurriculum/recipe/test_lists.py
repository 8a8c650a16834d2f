"""Where a list is expected, one text is taken for a list of it, and the run stays the same."""

import yaml

from capcurriculum import recipe
from tests.cli.test_typical_mistakes import RECIPE

#: In the recipe -> the same with one text; the recipe names one value in each of these lists.
LISTS = {
    "solvers: [small]": "solvers: small",
    "columns: {problem: problem, answer: answer}": "columns: {problem: problem, answer: answer}, files: rows.jsonl",
    "stages: [perception, text]": "stages: text",
    "{order: merged}": "{order: merged, stages: text}",
    'base_urls: ["http://127.0.0.1:8000/v1"]': "base_urls: http://127.0.0.1:8000/v1",
    "backbone: micro": "backbone: micro\n  logger: wandb",
    "wellformed,": "wellformed, {name: auditor, models: writer, stages: perception},",
    "knobs: {epochs: 1}": "knobs: {lora_modules: q_proj}",
}


def test_one_text_is_a_list_of_it() -> None:
    text = RECIPE
    for listed, one in LISTS.items():
        assert listed in text
        text = text.replace(listed, one, 1)
    made = recipe.parse(yaml.safe_load(text), "one")
    assert made.perception
    assert made.text
    assert made.training
    assert made.perception.probe.solvers == ("small",)
    assert made.text.all_sources[0].files == ("rows.jsonl",)
    assert [run.stage for run in made.training.stages] == ["text"]
    assert made.training.logger == ("wandb",)
    assert made.training.knobs.lora_modules == ("q_proj",)
    assert made.curriculum.orders[0].stages == ("text",)
    assert made.models["writer"].base_urls == ("http://127.0.0.1:8000/v1",)
    assert made.filters[2].stages == ("perception",)
    assert recipe.parse(yaml.safe_load(recipe.dump(made)), "again") == made


def test_it_is_the_same_recipe() -> None:
    listed = recipe.parse(yaml.safe_load(RECIPE), "listed")
    one = recipe.parse(yaml.safe_load(RECIPE.replace("[small]", "small")), "one")
    assert recipe.dump(one) == recipe.dump(listed)
    assert recipe.identity(one) == recipe.identity(listed)


def test_a_text_that_may_stand_for_itself_stays_one() -> None:
    text = RECIPE.replace("answer: answer", "answer: answer, options: choices")
    made = recipe.parse(yaml.safe_load(text), "options")
    assert made.text
    columns = made.text.all_sources[0].columns
    assert columns
    assert columns.options == "choices"
