"""A preview: a few rows go the whole road, are shown as they were asked, and are done in the build that follows."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from capcurriculum import cli, recipe
from capcurriculum.ledger.verdicts import kept_ids
from capcurriculum.recipe import Recipe
from capcurriculum.render.progress import Display
from capcurriculum.rows import Arm
from capcurriculum.run import Run
from curricula import preview
from curricula.build import build
from datagen import exchanges
from datagen.sources import gather
from tests.support import endpoint, worlds

AUDITORS: list[Any] = [
    "readable",
    "perception",
    {"name": "auditor", "mode": "judge", "models": "one"},
    "rollouts",
    "difficulty",
]


def _world(folder: Path, url: str, **changes: Any) -> Recipe:
    if not (folder / "docci").exists():
        worlds.docci(folder / "docci")
        worlds.problems(folder / "text")
    return worlds.recipe_over(folder, url, **changes)


def _requests(server: endpoint.Endpoint) -> list[str]:
    return [str(body["messages"]) + body["model"] for body in server.requests]


def test_a_build_finds_a_previews_rows_done(tmp_path: Path) -> None:
    with endpoint.serving() as server:
        once = build(_world(tmp_path, server.url, runs=str(tmp_path / "once")), Display())
        asked = len(server.requests)
    with endpoint.serving() as server:
        wanted = _world(tmp_path, server.url)
        some = build(wanted, Display(), preview=3)
        assert 0 < len(server.requests) < asked
        assert {q.stage for q in some.my_questions()} == {"perception", "text"}
        assert len(list(some.my_captions("perception"))) == 3
        assert not (wanted.run_dir / "stages").exists()
        again = len(server.requests)
        build(wanted, Display(), preview=3)
        assert len(server.requests) == again
        run = build(wanted, Display())
        assert len(server.requests) == asked
    assert sorted(map(str, kept_ids(run, wanted).collect().rows())) == sorted(
        map(str, kept_ids(once, wanted).collect().rows())
    )


@pytest.mark.parametrize("probe", [{"stop": "never", "arms": [arm.value for arm in (
    Arm.IMAGE, Arm.CAPTION, Arm.BLIND, Arm.SWAPPED)]}, {"stop": "decided", "other_order": True}])  # fmt: skip
def test_every_prompt_is_shown_as_it_was_sent(tmp_path: Path, probe: dict[str, Any]) -> None:
    with endpoint.serving() as server:
        server.faults += [endpoint.saying("no question")]
        wanted = _world(tmp_path, server.url, probe=probe, filters=AUDITORS, text=None)
        run = build(wanted, Display(), preview=4)
        sent = {turn for body in server.requests for turn in _texts(body)}
    at = gather.setting(run, wanted)
    found = [one for caption in run.my_captions("perception") for one in exchanges.of_caption(at, caption)]
    found += [one for question in run.my_questions() for one in exchanges.of_question(at, question)]
    assert len(found) == run.attempts.count() + run.answers.count()
    assert {one.asked.split()[0] for one in found} == {"teacher", "probe", "audit", "rollout"}
    for one in found:
        assert one.request is not None, one.asked
        assert all(message.text in sent for message in one.request.messages)
    assert any("refused" in one.said for one in found)
    shown = "\n".join(preview.shown(at))
    assert all(one.text.splitlines()[0] in shown for one in found if one.text)


def _texts(body: dict[str, Any]) -> list[str]:
    contents = [message["content"] for message in body["messages"]]
    parts = [part for content in contents for part in (content if isinstance(content, list) else [{"text": content}])]
    return [part["text"] for part in parts if "text" in part]


def test_a_prompt_that_would_be_another_now_is_not_shown(tmp_path: Path) -> None:
    with endpoint.serving() as server:
        wanted = _world(tmp_path, server.url)
        run = build(wanted, Display(), preview=2)
    sampling = wanted.rollouts.sampling.model_copy(update={"max_tokens": 77})
    other = wanted.model_copy(update={"rollouts": wanted.rollouts.model_copy(update={"sampling": sampling})})
    at = gather.setting(run, other)
    found = [one for question in run.my_questions() for one in exchanges.of_question(at, question)]
    assert {one.request is None for one in found if one.asked.startswith("rollout")} == {True}
    assert {one.request is None for one in found if one.asked.startswith("probe")} == {False}
    assert any("in another way than this recipe asks now" in line for line in exchanges.lines(found))


def test_the_verb_shows_rows_forecast_and_next_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with endpoint.serving() as server:
        wanted = _world(tmp_path, server.url)
        file = tmp_path / "own.yaml"
        file.write_text(yaml.safe_dump(yaml.safe_load(recipe.dump(wanted))))
        assert cli.main(["build", str(file), "--preview", "2", "--allow"]) == 0
        shown = capsys.readouterr().out
    assert "What is at" in shown
    assert "verdict perception: " in shown
    # Twelve captions and eight problems, of which two each were asked about.
    assert _cells(shown, "teacher")[1:3] == ["12", "12"]
    assert f"Next: capcurriculum build {file}" in shown
    row = next(iter(Run(wanted.run_dir).answers.rows())).question_id
    assert cli.main(["why", str(wanted.run_dir), row[:8], "--prompts"]) == 0
    assert "  [user]" in capsys.readouterr().out
    assert cli.main(["build", str(file), "--preview", "2", "--shard", "0/2", "--allow"]) == 2
    assert "leave --shard and --ray out" in capsys.readouterr().err


def _cells(shown: str, step: str) -> list[str]:
    line = next(line for line in shown.splitlines() if line.startswith(f"{step}  ") and "reply" not in line)
    return [cell for cell in line.split()[1:] if cell != "est."]


def test_a_forecast_takes_the_other_rows_to_fare_alike(tmp_path: Path) -> None:
    from datagen import expected

    with endpoint.serving() as server:
        wanted = _world(tmp_path, server.url)
        run = build(wanted, Display(), preview=6)
        half = expected.rows(wanted, Run(wanted.run_dir))
        left = sum(q.stage == "perception" for q in run.my_questions())
    assert half.questions["perception"] == 2 * left == 12
    assert half.captions == {"perception": 12}


def test_a_preview_that_keeps_nothing_says_how_many_there_may_be(tmp_path: Path) -> None:
    from datagen import expected

    with endpoint.serving(endpoint.Endpoint(image_right=1.0)) as server:
        wanted = _world(tmp_path, server.url, text=None)
        run = build(wanted, Display(), preview=3)
        assert kept_ids(run, wanted).collect().is_empty()
        some = expected.rows(wanted, Run(wanted.run_dir))
    assert some.reaching == some.questions == {"perception": 12}
