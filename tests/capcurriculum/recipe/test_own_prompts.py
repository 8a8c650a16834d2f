"""Own prompts: read from beside the recipe, data and no programs, part of what a run is known by, sent as written."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from capcurriculum import recipe
from capcurriculum.errors import RecipeError
from capcurriculum.prompts import own
from capcurriculum.render.progress import Display
from capcurriculum.run import Run
from cards.dataset import provenance
from curricula.build import build
from tests.support import endpoint, worlds

TEACHER = """Look for {{ skill }} in this text, and write a question with four options.
{% if asked %}Not again: {{ asked | join("; ") }}{% endif %}
Reply with one JSON object: "question", "options" (A, B, C, D), "answer". {{ problem }}
Caption: {{ caption }}"""
CAPTION = "Read: {{ caption }}\n\nThen answer.\n{{ problem }}"


def _data(folder: Path, url: str, **teacher: Any) -> dict[str, Any]:
    made = worlds.recipe_over(folder, url, text=None).model_dump(mode="json")
    made["perception"]["teacher"] |= teacher
    made = {key: value for key, value in made.items() if value is not None}
    return made


def _file(folder: Path, data: dict[str, Any]) -> Path:
    (folder / "own.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    return folder / "own.yaml"


def test_prompts_and_skills_of_files_are_sent_and_kept_with_the_run(tmp_path: Path) -> None:
    worlds.docci(tmp_path / "docci")
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "teacher.jinja").write_text(TEACHER)
    (tmp_path / "prompts" / "caption.txt").write_text(CAPTION)
    with endpoint.serving() as server:
        data = _data(tmp_path, server.url, prompt="prompts/teacher.jinja", skills={"gloss": "how a surface shines"})
        data["perception"]["probe"]["prompts"] = {"caption": "prompts/caption.txt"}
        wanted = recipe.load(_file(tmp_path, data))
        run = build(wanted, Display())
        texts = [str(body["messages"]) for body in server.requests]
    assert sum("Look for how a surface shines in this text" in text for text in texts) == 12
    assert sum("Then answer." in text for text in texts) > 0
    assert not any("Answer from this image caption alone" in text for text in texts)
    assert {q.skill for q in run.questions.rows()} == {"gloss"}
    assert {a.prompt_digest for a in run.attempts.rows()} == {own.digest(TEACHER)}
    assert {a.prompt_digest for a in run.answers.rows() if a.arm == "caption"} == {own.digest(CAPTION)}
    # The run has the texts, whatever becomes of the files.
    (tmp_path / "prompts" / "teacher.jinja").write_text(TEACHER + " Be brief.")
    assert Run(wanted.run_dir).recipe().captioned["perception"].teacher.prompt == TEACHER
    changed = recipe.load(tmp_path / "own.yaml")
    (difference,) = recipe.differences(wanted, changed)
    assert difference.startswith("perception.teacher.prompt: Look for")
    assert len(difference) < 300
    shown = {one.name: one.text for one in provenance.used_prompts(run.about(), wanted, ["perception"])}
    assert shown["perception, teacher"] == TEACHER
    assert shown["perception, caption arm"] == CAPTION
    assert "teacher_caption" not in shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TEACHER.replace("{{ caption }}", ""), "never uses {{ caption }}"),
        (TEACHER.replace("{{ caption }}", "{{ caption }} {{ image }}"), "the prompt uses image; it is given caption"),
        (TEACHER.replace("JSON", "X").replace('"answer"', ""), "prompt never says JSON, answer"),
        (TEACHER + "{{ caption.__class__ }}", "Getattr is not known in it"),
        (TEACHER + "{{ caption | attr('x') }}", "the filter attr is not known in it"),
        (TEACHER + "{{ caption | center(1000000000) }}", "the filter center is not known in it"),
        (TEACHER + "{{ caption * 1000000000 }}", "Mul is not known in it"),
        (TEACHER + "{{ caption() }}", "Call is not known in it"),
        (TEACHER + "{% for i in range(9) %}x{% endfor %}", "for goes over asked in a prompt"),
        (TEACHER + "{% for i in caption %}x{% endfor %}", "for goes over asked in a prompt"),
        (TEACHER + "{% for i in asked %}{% for j in asked %}x{% endfor %}{% endfor %}", "not inside another for"),
        (TEACHER + "{% include 'x' %}", "Include is not known in it"),
        (TEACHER + "{% set x = 1 %}", "Assign is not known in it"),
        (TEACHER + "{% macro x() %}{% endmacro %}", "Macro is not known in it"),
        (TEACHER + "{% if %}", "the prompt is no template"),
        (TEACHER + "x" * 20_000, "at most 20,000 characters"),
    ],
)
def test_a_prompt_that_is_no_mere_text_with_values_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RecipeError) as caught:
        recipe.load(_file(tmp_path, _data(tmp_path, "http://127.0.0.1:1/v1", prompt=text)))
    assert said in str(caught.value)
    assert "perception.teacher" in str(caught.value)


def test_a_prompts_file_must_lie_beside_the_recipe(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    (tmp_path / "secret.txt").write_text("a secret")
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    for named, said in (
        ("../secret.txt", "outside of its folder"),
        (str(tmp_path / "secret.txt"), "outside of its folder"),
        ("link.txt", "outside of its folder"),
        ("missing.jinja", "there is no such file"),
    ):
        with pytest.raises(RecipeError) as caught:
            recipe.load(_file(folder, _data(tmp_path, "http://127.0.0.1:1/v1", prompt=named)))
        assert said in str(caught.value)
    (folder / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(RecipeError, match="UTF-8"):
        recipe.load(_file(folder, _data(tmp_path, "http://127.0.0.1:1/v1", prompt="latin.txt")))


def test_a_prompt_of_an_arm_needs_the_problem(tmp_path: Path) -> None:
    data = _data(tmp_path, "http://127.0.0.1:1/v1")
    data["perception"]["probe"]["prompts"] = {"image": "Look. {{ caption }}"}
    with pytest.raises(RecipeError, match="the prompt uses caption; it is given problem"):
        recipe.load(_file(tmp_path, data))
    data["perception"]["probe"]["prompts"] = {"image": "Look."}
    with pytest.raises(RecipeError, match=r"the prompt never uses \{\{ problem"):
        recipe.load(_file(tmp_path, data))


def test_an_own_skill_has_words_and_a_known_one_a_weight(tmp_path: Path) -> None:
    own_skill = recipe.load(
        _file(tmp_path, _data(tmp_path, "http://127.0.0.1:1/v1", skills={"gloss": "x", "count": 3}))
    )
    teacher = own_skill.captioned["perception"].teacher
    assert teacher.weights == {"gloss": 1, "count": 3}
    assert (teacher.words("gloss"), teacher.words("count")) == ("x", "how many there are")
    with pytest.raises(RecipeError, match="there is no skill 'gloss'"):
        recipe.load(_file(tmp_path, _data(tmp_path, "http://127.0.0.1:1/v1", skills={"gloss": 2})))
