"""What a recipe may say of how a model is asked: what is refused, what becomes of a run's identity, what is shown."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from capcurriculum import recipe
from capcurriculum.cli import main
from capcurriculum.errors import RecipeError
from capcurriculum.recipe import Recipe, differences
from capcurriculum.recipe.auditor import AuditSection, identity
from capcurriculum.recipe.models import ModelSection
from capcurriculum.rows import digest
from cards.dataset import parts, provenance
from hub.publish.redact import published
from tests.support import card_runs, worlds

O_SERIES: dict[str, Any] = {
    "reasoning_effort": "low",
    "max_completion_tokens": 8000,
    "extra_body": {"temperature": None, "top_p": None},
}
QWEN3: dict[str, Any] = {"chat_template_kwargs": {"enable_thinking": False}}


def section(**changes: Any) -> ModelSection:
    told: dict[str, Any] = {"engine": "openai", "model": "m", "base_urls": ["http://127.0.0.1:1/v1"]}
    return ModelSection.model_validate(told | changes)


def told_teacher(folder: Path, **changes: Any) -> Recipe:
    plain = worlds.recipe_over(folder, "http://127.0.0.1:1/v1").model_dump(mode="json")
    plain["models"]["teacher"] |= changes
    return recipe.parse(plain, "test")


def nested(depth: int) -> dict[str, Any]:
    return {"a": nested(depth - 1)} if depth else {}


LOOP: dict[str, Any] = {}
LOOP["again"] = LOOP


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"chat_template_kwargs": ["enable_thinking"]}, "must be a mapping of names to JSON values"),
        ({"chat_template_kwargs": {1: True}}, "has a key that is no text; put it in quotes"),
        ({"chat_template_kwargs": {"tokenize": True}}, "tokenize is set by the engine; leave it out"),
        ({"chat_template_kwargs": {"chat_template": "{{ x }}"}}, "chat_template is set by the engine"),
        ({"chat_template_kwargs": yaml.safe_load("{day: 2026-01-01}")}, "holds a date, which JSON has not"),
        ({"extra_body": {"a": [float("inf")]}}, "a number that JSON cannot carry"),
        ({"extra_body": {"a": float("nan")}}, "a number that JSON cannot carry"),
        ({"extra_body": {"a": 16**5000}}, "a number that JSON cannot carry"),
        ({"extra_body": nested(10)}, "is nested more than 8 deep"),
        ({"extra_body": LOOP}, "is nested more than 8 deep"),
        ({"extra_body": {"a": list(range(1001))}}, "holds more than 1000 values"),
        ({"extra_body": {"model": "other"}}, "model is not for extra_body: say model"),
        ({"extra_body": {"messages": None}}, "messages is not for extra_body: the engine writes them"),
        ({"extra_body": {"n": None}}, "n is not for extra_body: the engine sets it, up to max_n"),
        ({"extra_body": {"stream": True}}, "stream is not for extra_body"),
        ({"extra_body": {"seed": 1}}, "seed is not for extra_body: one seed would make all rollouts"),
        ({"extra_body": {"max_tokens": None}}, "say sampling.max_tokens, and max_completion_tokens for its name"),
        ({"extra_body": {"reasoning_effort": "low"}}, "say reasoning_effort"),
        ({"extra_body": {"temperature": 1}}, "say it in the sampling; null leaves it out"),
        ({"max_completion_tokens": False}, "a whole number above 0, or true"),
        ({"max_completion_tokens": 0}, "a whole number above 0, or true"),
        ({"max_completion_tokens": 1.0}, "a whole number above 0, or true"),
        ({"max_completion_tokens": "8000"}, "a whole number above 0, or true"),
        ({"reasoning_effort": "very low"}, "must be a word such as low"),
        ({"headers": {"X Team": "TEAM"}}, "a header's name is letters, digits and -"),
        ({"headers": {"X-Team\n": "TEAM"}}, "a header's name is letters, digits and -"),
        ({"headers": {"": "TEAM"}}, "a header's name is letters, digits and -"),
        ({"headers": {"content-TYPE": "TEAM"}}, "the header content-TYPE is set by the engine"),
        ({"headers": {"Host": "TEAM"}}, "the header Host is set by the engine"),
        ({"headers": {"X-Team": "TEAM", "x-team": "TEAM"}}, "the header x-team is given twice"),
        ({"headers": {"X-Team": "Bearer ${TEAM}\nX-Other: y"}}, "holds a line break"),
        ({"headers": {"X-Team": "TEAM\n"}}, "holds a line break"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_mend(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        section(**changes)
    (error,) = caught.value.errors()
    assert said in error["msg"]
    assert "\n" not in error["msg"]


@pytest.mark.parametrize(
    "value", ["sk-open-sesame", "opensesame", "Bearer sesame", "$SESAME", "${}sesame", "${A} $sesame", ""]
)
def test_a_headers_value_that_is_not_in_the_environment_is_refused_and_not_repeated(tmp_path: Path, value: str) -> None:
    with pytest.raises(
        RecipeError, match=r"models\.teacher\.headers: .*a variable's name in capitals or a text"
    ) as caught:
        told_teacher(tmp_path, headers={"X-Team": value})
    assert "sesame" not in str(caught.value).lower()


@pytest.mark.parametrize(
    ("key", "value"), [("max_completion_tokens", True), ("extra_body", {"a": 1}), ("headers", {"X-Team": "TEAM"})]
)
@pytest.mark.parametrize("engine", ["vllm", "transformers"])
def test_what_is_part_of_an_http_request_is_for_the_engine_that_sends_one(engine: str, key: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=f"{key} is part of an HTTP request, and the engine {engine} sends none"):
        ModelSection.model_validate({"engine": engine, "model": "micro:start", key: value})


def test_a_template_is_told_the_effort_as_vllms_server_tells_it() -> None:
    def told(**changes: Any) -> dict[str, Any]:
        return ModelSection.model_validate({"engine": "vllm", "model": "m"} | changes).template_arguments

    assert told() == {}
    assert told(**QWEN3) == {"enable_thinking": False}
    assert told(reasoning_effort="low") == {"enable_thinking": True, "reasoning_effort": "low"}
    assert told(reasoning_effort="none") == {"enable_thinking": False, "reasoning_effort": "none"}
    assert told(reasoning_effort="low", **QWEN3) == {"enable_thinking": False, "reasoning_effort": "low"}


def test_a_run_from_before_these_keys_goes_on_and_its_auditors_stay_known(tmp_path: Path) -> None:
    now = told_teacher(tmp_path)
    before = now.model_dump(mode="json")
    for model in before["models"].values():
        for key in ("chat_template_kwargs", "reasoning_effort", "max_completion_tokens", "extra_body", "headers"):
            del model[key]
    assert differences(recipe.parse(before, "before"), now) == []
    # As it was when models had none of them.
    assert digest(identity(now.models["one"])) == "4d8c0d6127094a5d"


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ({}, QWEN3),
        (QWEN3, {"chat_template_kwargs": {"enable_thinking": None}}),
        ({"chat_template_kwargs": {"a": True}}, {"chat_template_kwargs": {"a": 1}}),
        ({}, {"reasoning_effort": "low"}),
        ({"max_completion_tokens": True}, {}),
        ({"max_completion_tokens": True}, {"max_completion_tokens": 512}),
        ({"extra_body": {"min_p": 0.1}}, {"extra_body": {"min_p": 0.1, "top_p": None}}),
        ({"extra_body": {"a.b": 1}}, {"extra_body": {"a": {"b": 1}}}),
        ({"extra_body": {"a": [{"b": 1}]}}, {"extra_body": {"a": {"0": {"b": 1}}}}),
    ],
)
def test_how_a_model_is_asked_is_part_of_the_runs_and_of_the_auditors_identity(
    tmp_path: Path, one: dict[str, Any], two: dict[str, Any]
) -> None:
    first, second = told_teacher(tmp_path, **one), told_teacher(tmp_path, **two)
    (said,) = differences(first, second)
    assert said.startswith("models.teacher.")
    auditors = AuditSection(models=("teacher",))
    assert auditors.asker("teacher", first.models) != auditors.asker("teacher", second.models)
    for made in (first, second):
        assert recipe.parse(yaml.safe_load(recipe.dump(made)), "dump") == made
        assert differences(made, recipe.parse(yaml.safe_load(recipe.dump(made)), "dump")) == []


def test_headers_and_the_order_of_keys_are_not(tmp_path: Path) -> None:
    first = told_teacher(tmp_path, extra_body={"a": 1, "b": 2})
    second = told_teacher(tmp_path, extra_body={"b": 2, "a": 1}, headers={"X-Team": "${TEAM}"})
    assert differences(first, second) == []
    auditors = AuditSection(models=("teacher",))
    assert auditors.asker("teacher", first.models) == auditors.asker("teacher", second.models)


def test_a_recipe_over_another_adds_to_its_body(tmp_path: Path) -> None:
    base = tmp_path / "base.yaml"
    base.write_text(recipe.dump(told_teacher(tmp_path, extra_body={"a": 1})))
    over = tmp_path / "over.yaml"
    over.write_text("extends: base.yaml\nmodels: {teacher: {extra_body: {top_p: null}}}\n")
    assert recipe.load(over).models["teacher"].extra_body == {"a": 1, "top_p": None}


def test_a_dry_run_counts_with_the_number_that_is_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = told_teacher(tmp_path, headers={"X-Team": "NOT_SET_HERE"}, **O_SERIES).model_dump(mode="json")
    plain["perception"]["source"]["limit"], plain["text"]["source"]["limit"] = 3, 2
    worlds.docci(tmp_path / "docci", 4)
    worlds.problems(tmp_path / "text", 4)
    written = tmp_path / "recipe.yaml"
    written.write_text(yaml.safe_dump(plain))
    assert main(["build", "--dry-run", str(written)]) == 0
    assert "24,000" in capsys.readouterr().out  # three captions


def test_a_card_says_how_models_were_asked_and_nothing_of_headers(tmp_path: Path) -> None:
    model = {"engine": "openai", "base_urls": ["http://127.0.0.1:9/v1"], "headers": {"X-Team": "${PRIVATE_NAME}"}}
    models = {name: model | {"model": name} for name in ("teacher", "one", "two", "policy")}
    models["teacher"] |= O_SERIES
    models["one"] |= {"extra_body": {"weights": 1, "note": "hf_abcdefghijklmnop", "python": ["/home/alice/x"]}}
    shown = published(card_runs.plain(models=models))
    text = recipe.dump(shown)
    assert not any(secret in text for secret in ("X-Team", "PRIVATE_NAME", "hf_abc", "alice"))
    assert shown.models["one"].extra_body == {"weights": 1, "note": "redacted", "python": ["x"]}
    assert shown.models["teacher"].asked_with == O_SERIES
    rows = parts.roles(provenance.roles(shown, ["perception"])).splitlines()
    (teacher,) = (row for row in rows if "writes questions" in row)
    assert 'at most 512 tokens; asked with `{"reasoning_effort": "low", "max_completion_tokens": 8000' in teacher
    assert "asked with" not in next(row for row in rows if "rollouts" in row)
