"""The command line: verbs, sentences, exit codes, and what the questions to a run print."""

import json
from pathlib import Path

import pytest

from capcurriculum import cli, recipe
from capcurriculum.ledger.why import life
from capcurriculum.render.progress import Display
from capcurriculum.run import Run
from curricula.build import build
from tests.support import endpoint, worlds
from tests.support.signalled import every_verb


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("built")
    worlds.docci(folder / "docci", images=6)
    with (folder / "docci" / "docci_descriptions.jsonlines").open("a") as handle:
        handle.write(worlds.docci_line("escape\x1b[2J", "../out.png", "leaves") + "\n")
    worlds.problems(folder / "text", count=4)
    with endpoint.serving(endpoint.Endpoint(image_right=0.4)) as server:
        return build(worlds.recipe_over(folder, server.url), Display())


@pytest.mark.parametrize("verb", every_verb())
def test_every_verb_has_its_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*verb.split(), "--help"]) == 0
    told = capsys.readouterr().out
    assert f"Usage: capcurriculum {verb}" in told
    assert f"Example: capcurriculum {verb}" in " ".join(told.split())


def test_a_mistake_is_one_sentence_and_exit_code_two(built: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ["build", "absent.yaml"],
        ["status", "no-such-run"],
        ["why", str(built.path), "zz"],
        ["query", str(built.path), "drop everything"],
    ):
        assert cli.main(words) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.startswith("error: ")
        assert captured.err.count("\n") == 1


def test_an_interrupt_says_that_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(recipe, "load", interrupted)
    assert cli.main(["build", "any.yaml"]) == 130
    assert "run the same command again to go on" in capsys.readouterr().err


def test_status_and_funnel_print_a_run_named_in_any_of_three_ways(
    built: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(recipe.dump(built.recipe()))
    for name in (str(built.path), str(file)):
        assert cli.main(["status", name]) == 0
        assert "captions" in capsys.readouterr().out
        assert cli.main(["funnel", name]) == 0
        assert "path_escapes 1" in capsys.readouterr().out


def test_the_life_of_a_kept_row_runs_from_its_caption_to_its_stage_file(built: Run) -> None:
    kept = next(v for v in built.verdicts.rows() if v.filter == "perception" and v.keep)
    told = list(life(built, kept.question_id))
    assert told == list(
        life(built, next(q.caption_id for q in built.questions.rows() if q.question_id == kept.question_id))
    )
    text = "\n".join(told)
    for part in ("caption ", "teacher teacher, try 1", "probe one, image 0: wrong", "probe two, caption 0: right",
                 "rollout policy, image 2", "verdict source: keep", "verdict teacher: keep", "verdict perception: keep",
                 "stage file perception/"):  # fmt: skip
        assert part in text


def test_the_life_of_a_line_that_never_became_a_row_is_its_verdict(built: Run) -> None:
    dropped = next(v for v in built.verdicts.rows() if v.filter == "source" and not v.keep)
    assert list(life(built, dropped.question_id)) == [f"verdict source: drop, path_escapes {dropped.detail}"]


def test_a_query_prints_csv_that_can_be_piped(built: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["query", "--csv", str(built.path), "select count(*) as n from captions"]) == 0
    assert capsys.readouterr().out.splitlines() == ["n", "6"]


def test_a_query_prints_json(built: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["query", "--json", str(built.path), "select count(*) as n from captions"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"n": 6}]
    assert cli.main(["query", "--json", "--csv", str(built.path), "select 1"]) == 2
    assert "give one of them" in capsys.readouterr().err


def test_a_report_is_opened_in_a_browser_if_there_is_one(
    built: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: bool(opened.append(address)) or len(opened) == 1)
    out = tmp_path / "a page.html"
    assert cli.main(["report", str(built.path), "--out", str(out), "--open"]) == 0
    assert opened == [out.as_uri()]
    assert "browser" not in capsys.readouterr().err
    assert cli.main(["report", str(built.path), "--out", str(out), "--open"]) == 0
    assert "no browser here that could be started; open the file" in capsys.readouterr().err
