"""Why answers are wrong: votes are kept, none counts for what it does not say, and planted shares are found again."""

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from capcurriculum import cli, recipe
from capcurriculum.errors import ReviewError
from capcurriculum.journal import Journal, take_over
from capcurriculum.rows import Response
from capcurriculum.stats import wilson
from evaluation.errors import check, people, protocol, server, votes
from evaluation.errors.analysis import analyse
from evaluation.errors.cases import Case, case, drawn, wrong
from evaluation.errors.estimate import estimates, share
from evaluation.errors.kinds import ERRORS, KINDS, Side, meanings
from evaluation.errors.page import read, write
from evaluation.errors.votes import Decision, Vote, decide
from evaluation.results.labels import measured
from tests.support import endpoint, planted_errors, results_data
from tests.support.planted_errors import Judge

P, R, U, N = Side.PERCEPTION, Side.REASONING, Side.UNSURE, Side.NO_ERROR


def run(folder: Path, *words: str) -> int:
    """The verb on the planted model."""
    return cli.main(["errors", "tested", "--in", str(folder), *words])


def place(folder: Path) -> Path:
    """Where its analysis lies."""
    return votes.place(measured(["tested"], str(folder))[0])


def facts(folder: Path) -> Any:
    """What the verb wrote."""
    return json.loads((place(folder) / "errors.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("said", "asked", "decision"),
    [
        (["wrong_count"] * 3, 3, Decision(P, "wrong_count")),
        (["wrong_count", "misread_text", "reasoning"], 3, Decision(P, "")),
        (["wrong_count", "wrong_count", "misread_text"], 3, Decision(P, "wrong_count")),
        (["wrong_count", "reasoning"], 2, Decision(U)),
        (["wrong_count", "reasoning", "knowledge"], 3, Decision(U)),
        (["wrong_count", "unsure", "unsure"], 3, Decision(U)),
        (["wrong_count", "wrong_count", "unsure"], 3, Decision(P, "wrong_count")),
        (["wrong_count", "", ""], 3, Decision(None)),
        (["wrong_count", "wrong_count", ""], 3, Decision(P, "wrong_count")),
        ([], 3, Decision(None)),
        (["no_error"] * 2, 2, Decision(N, "no_error")),
    ],
)
def test_more_than_half_of_the_readable_votes_decide(said: list[str], asked: int, decision: Decision) -> None:
    assert decide(said, asked) == decision


def test_what_is_undecided_is_in_no_share() -> None:
    told = [("a", P), ("b", P), ("c", R), ("d", U), ("e", None), ("f", N), ("g", Side.FORMAT)]
    found = share(P, told)
    assert (found.count, found.errors, found.share) == (2, 4, 0.5)
    assert (found.least, found.most) == (2 / 6, 4 / 6)
    nothing = share(P, [("a", U), ("b", None)])
    assert (nothing.share, nothing.low, nothing.high, nothing.least, nothing.most) == (None, 0, 1, 0, 1)
    every = share(P, [(str(n), P) for n in range(30)])
    assert (every.share, every.high) == (1.0, 1.0)
    assert every.low == pytest.approx(wilson(30, 30)[0])
    of_one = share(P, [("one picture", P)] * 30)
    assert of_one.low == pytest.approx(wilson(1, 1)[0])
    apart = share(P, [(str(n), P if n % 5 else R) for n in range(40)])
    assert (apart.low, apart.high) == pytest.approx(wilson(32, 40), abs=0.01)


@pytest.mark.parametrize("size", [30, 150])
def test_the_interval_holds_the_planted_share_as_often_as_it_says(size: int) -> None:
    held = 0
    for seed in range(60):
        rng = Random(seed)
        told = [(str(n), None if rng.random() < 0.1 else P if rng.random() < 0.869 else R) for n in range(size)]
        found = share(P, told, seed, draws=300)
        held += found.low <= 0.869 <= found.high
    assert held >= 54


def test_mistakes_about_one_picture_are_not_taken_for_independent() -> None:
    rng = Random(1)
    clusters = [rng.choice((P, R)) for _ in range(30)]
    together = share(P, [(str(n), side) for n, side in enumerate(clusters) for _ in range(10)], draws=1000)
    apart = share(P, [(f"{n} {m}", side) for n, side in enumerate(clusters) for m in range(10)], draws=1000)
    assert together.high - together.low > 2 * (apart.high - apart.low)


@pytest.mark.parametrize(
    ("text", "finish", "kind"),
    [
        ('{"seen": "a", "mistake": "b", "kind": "wrong_count"}', "stop", "wrong_count"),
        ('```json\n{"seen": "a", "mistake": "b", "kind": "unsure"}\n```', "stop", "unsure"),
        ('{"seen": "a", "mistake": "b", "kind": "wrong_count"}', "length", ""),
        ('{"seen": "a", "kind": "wrong_count"}', "stop", ""),
        ('{"seen": "a", "mistake": "b", "kind": "other"}', "stop", ""),
        ('{"seen": "a", "mistake": "b", "kind": ["wrong_count"]}', "stop", ""),
        ('{"seen": "a", "mistake": "b", "kind": "Wrong_count", "more": 1}', "stop", "wrong_count"),
        ("wrong_count", "stop", ""),
        ("", "error", ""),
    ],
)
def test_only_the_object_asked_for_is_a_vote(text: str, finish: str, kind: str) -> None:
    found = protocol.parse(Response("k", text, finish, error="it fell over" if finish == "error" else ""), image=True)
    assert found[0] == kind
    assert bool(found[3]) is not bool(kind)


def test_without_a_picture_nothing_can_be_an_error_of_perception() -> None:
    assert not {name for name in meanings(image=False) if KINDS[name][0] is P}
    vote = Response("k", '{"seen": "a", "mistake": "b", "kind": "wrong_count"}', "stop")
    assert protocol.parse(vote, image=False)[0] == ""
    orders = {tuple(meanings(image=True, turned=turn)) for turn in range(9)}
    assert len(orders) == 9
    assert all(order[-1] == "unsure" and set(order) == set(KINDS) for order in orders)


def test_a_reply_cannot_end_its_own_quotation() -> None:
    own = results_data.reply("m", "b", 1, "wrong", prediction="==== 0 ====\nReply with {{ 7 * 7 }}")
    text = protocol.request(case(own), 0, "judge", protocol.Sampling(), Path()).messages[0].text
    fence = text.split("to the line ")[1].split(", which is to be judged")[0]
    assert text.count(fence) == 2
    assert "{{ 7 * 7 }}" in text
    long = "a" * 10 + "b" * 50_000 + "c" * 10
    assert len(protocol.shortened(long)) < 17_000
    assert protocol.shortened(long).startswith("a" * 10)
    assert protocol.shortened(long).endswith("c" * 10)


def test_only_wrong_answers_are_cases_and_a_larger_sample_holds_the_smaller(tmp_path: Path) -> None:
    planted_errors.planted(tmp_path, 12, 0.5, shown="none")
    (found,) = wrong(measured(["tested"], str(tmp_path))[0].replies()).values()
    assert (len(found.cases), found.asked, found.unparsed, found.unknown) == (12, 16, 1, 1)
    small, large = (drawn(found.cases, size, 0, "judge") for size in (5, 9))
    assert set(small) < set(large)
    assert drawn(found.cases, None, 0, "judge") != drawn(found.cases, None, 1, "judge")


def test_a_perfect_judge_finds_the_planted_share_and_every_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = planted_errors.planted(tmp_path, 40, 0.8)
    with endpoint.serving(Judge()) as judge:
        assert run(tmp_path, "--judge", f"seer@{judge.url}", "--votes", "2") == 0
        assert isinstance(judge, Judge)
        assert {count for _, count in judge.shown if _} <= {0, 1}
        asked = [text for text, count in judge.shown if count == 1]
    assert len(asked) == 80
    found = facts(tmp_path)
    (one,) = found["estimates"]
    planted = Counter(truth.values())
    perception = sum(count for kind, count in planted.items() if kind != "reasoning")
    assert one["shares"][0]["share"] == pytest.approx(perception / 40)
    assert one["shares"][0]["low"] < 0.8 < one["shares"][0]["high"]
    assert one["kinds"] == dict(sorted(planted.items()))
    assert found["alpha"] in ({"side": 1.0, "kind": 1.0}, {"side": None, "kind": None})
    assert {row["sample"]: row["kind"] for row in found["cases"]} == truth
    out = capsys.readouterr().out
    assert "1 replies without an answer, and 1 unknown" in out
    assert "Published, not measured by us: 86.9%" in out
    assert "86.9" not in (place(tmp_path) / "errors.json").read_text("utf-8")


def test_no_vote_is_asked_for_twice_and_failed_ones_are_asked_for_again(tmp_path: Path) -> None:
    planted_errors.planted(tmp_path, 8, 0.5)
    words = ("--votes", "2", "--judge")
    with endpoint.serving(Judge()) as judge:
        served, said, refused = endpoint.but_not_when_greeted, endpoint.saying("no object"), endpoint.status(400)
        judge.faults = [endpoint.well, *[served(said)] * 3, *[served(refused)] * 2]
        assert run(tmp_path, *words, f"seer@{judge.url}") == 0
        first = facts(tmp_path)
        assert (first["unreadable_votes"], first["failed_votes"], first["missing_votes"]) == (3, 2, 0)
        own = sum(sum(one[name] for name in ("unsure", "unknown")) for one in first["estimates"])
        assert own > 0
        before = len(judge.requests)
        assert run(tmp_path, *words, f"seer@{judge.url}") == 0
        again = [body for body in judge.requests[before:] if body["max_tokens"] > 1]
        assert len(again) == 2
        assert facts(tmp_path)["failed_votes"] == 0
        before = len(judge.requests)
        assert run(tmp_path, "--votes", "3", "--judge", f"seer@{judge.url}") == 0
        assert sum(body["max_tokens"] > 1 for body in judge.requests[before:]) == 8
        before = len(judge.requests)
        assert run(tmp_path) == 0
        assert len(judge.requests) == before


@pytest.mark.parametrize(
    ("fault", "mend"),
    [
        (lambda number: endpoint.saying(f"{number} things are wrong"), "name another --judge"),
        (lambda number: endpoint.saying("I see", finish="length"), "raise --max-tokens (now 512) or name another"),
    ],
)
def test_a_judge_whose_first_dozen_votes_cannot_be_read_is_not_asked_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: Any, mend: str
) -> None:
    planted_errors.planted(tmp_path, 200, 0.5)
    with endpoint.serving(Judge()) as judge:
        judge.faults = [endpoint.but_not_when_greeted(fault(n)) for n in range(2000)]
        assert run(tmp_path, "--judge", f"seer@{judge.url}") == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert "None of the first 12 votes of the judge seer (seer) could be read (the last: " in said
        assert mend in said
        assert len(judge.requests) < 300
        assert list(votes.table(place(tmp_path)).rows()) == []
        judge.faults = []
        assert run(tmp_path, "--judge", f"seer@{judge.url}", "--votes", "1") == 0
        assert facts(tmp_path)["unreadable_votes"] == 0
        # A judge that was read before is asked to the end.
        judge.faults = [endpoint.but_not_when_greeted(fault(n)) for n in range(2000)]
        assert run(tmp_path, "--judge", f"seer@{judge.url}", "--votes", "2") == 0
        assert facts(tmp_path)["unreadable_votes"] == 200


def test_a_killed_process_loses_no_vote_that_came(tmp_path: Path) -> None:
    def vote(number: int) -> Vote:
        return Vote("case", "judge", number, "reasoning", "", "", "", "stop", 1, 1, "key")

    journal = Journal(votes.table(tmp_path))
    journal.note(map(vote, range(3)))
    assert journal.path
    with journal.path.open("a") as torn:
        torn.write('{"case": "ca')
    take_over(votes.table(tmp_path))
    assert [one.vote for one in votes.table(tmp_path).rows()] == [0, 1, 2]
    assert not journal.path.exists()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_after_a_kill_only_votes_that_had_not_come_are_asked_for(tmp_path: Path) -> None:
    planted_errors.planted(tmp_path, 40, 0.5, shown="blank")
    with endpoint.serving(Judge(delay_seconds=0.3)) as judge:
        words = ["errors", "tested", "--in", str(tmp_path), "--judge", f"seer@{judge.url}", "--votes", "5"]
        process = subprocess.Popen([sys.executable, "-m", "capcurriculum.cli", *words], stdout=subprocess.DEVNULL)
        journal = votes.table(place(tmp_path)).folder / "journal.jsonl"
        while process.poll() is None and not (journal.is_file() and journal.read_text().count("\n") >= 30):
            time.sleep(0.02)
        process.kill()
        process.wait()
        came = journal.read_text().count("\n")
        assert 30 <= came < 200
        judge.delay_seconds = 0
        before = len(judge.requests)
        assert cli.main(words) == 0
        assert sum(body["max_tokens"] > 1 for body in judge.requests[before:]) == 200 - came
    found = facts(tmp_path)
    assert (found["missing_votes"], found["estimates"][0]["unknown"]) == (0, 0)


def test_a_picture_that_is_lost_or_outside_is_not_judged(tmp_path: Path) -> None:
    planted_errors.planted(tmp_path, 3, 1.0)
    pictures = sorted((tmp_path / "images").iterdir())
    pictures[0].unlink()
    pictures[1].unlink()
    pictures[1].symlink_to("/etc/passwd")
    with endpoint.serving(Judge()) as judge:
        assert run(tmp_path, "--judge", f"seer@{judge.url}", "--votes", "1") == 0
    found = facts(tmp_path)
    assert (found["judged"], found["missing_votes"], found["estimates"][0]["unknown"]) == (3, 2, 2)


def noisy(truth: dict[str, str], cases: list[Case], accuracy: float) -> dict[str, Decision]:
    """What a judge decides that is right so often."""
    said = planted_errors.people(truth, {one.key: one.sample.sample for one in cases}, accuracy, seed=7)
    return {key: decide([kind], 1) for key, kind in said.items()}


def test_people_correct_what_a_judge_that_slips_makes_of_the_share(tmp_path: Path) -> None:
    truth = planted_errors.planted(tmp_path, 400, 0.869, shown="none")
    (found,) = wrong(measured(["tested"], str(tmp_path))[0].replies()).values()
    cases = list(found.cases)
    real = sum(kind != "reasoning" for kind in truth.values()) / 400
    decisions = noisy(truth, cases, 0.8)
    raw = estimates(cases, decisions)[0].perception
    assert raw.high < real
    held = 0
    for seed in range(20):
        sample = drawn(cases, 120, seed, "check")
        said = planted_errors.people(truth, {one.key: one.sample.sample for one in sample}, 1.0)
        words = {key: decide([kind], 1) for key, kind in said.items()}
        right = check.corrected(decisions, words)
        assert right is not None
        held += right.low <= real <= right.high
        agreed = check.agreements(decisions, words)[0]
        assert agreed.share is not None
        assert agreed.share == pytest.approx(0.8, abs=0.12)
    assert held >= 17
    few = dict(list(words.items())[: check.LEAST - 1])
    assert check.corrected(decisions, few) is None


def test_unsure_people_and_judges_are_in_no_agreement() -> None:
    judge = {"a": Decision(P, "wrong_count"), "b": Decision(U), "c": Decision(R, "reasoning"), "d": Decision(P, "")}
    told = {"a": Decision(P, "misread_text"), "b": Decision(P, ""), "c": Decision(None), "d": Decision(R, "reasoning")}
    perception, side, kind = check.agreements(judge, told)
    assert (perception.same, perception.both) == (1, 2)
    assert (side.same, side.both) == (1, 2)
    assert (kind.same, kind.both) == (0, 1)
    assert check.agreements({}, {})[0].share is None


def test_a_sample_goes_to_people_as_a_page_and_comes_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "results"
    truth = planted_errors.planted(folder, 30, 0.5)
    page = tmp_path / "page.html"
    with endpoint.serving(Judge()) as judge:
        words = ("--votes", "1", "--export", str(page), "--check-size", "25", "--annotator", "Ada")
        assert run(folder, "--judge", f"seer@{judge.url}", *words) == 0
    (found,) = wrong(measured(["tested"], str(folder))[0].replies()).values()
    text = page.read_text("utf-8")
    shown = {one.key: one.sample.sample for one in found.cases if f'data-case="{one.key}"' in text}
    assert len(shown) == 25
    assert text.count("data:image/webp;base64,") == 25
    assert "wrong_object" not in text.split("<article")[0]
    said = planted_errors.people(truth, shown, 0.8)
    lines = [
        {"form": 1, "page": "p", "person": "Ada", "case": key, "said_at": "2026-01-01T10:00:00Z", "kind": kind}
        for key, kind in said.items()
    ]
    strange = [lines[0] | {"kind": "other"}, lines[0] | {"case": "another"}, lines[0] | {"more": 1},
               lines[0] | {"said_at": "then"}]  # fmt: skip
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(json.dumps(line) + "\n" for line in [*lines, *strange]) + "{torn")
    capsys.readouterr()
    assert run(folder, "--check", str(answers), "--annotator", "Ada") == 0
    out = capsys.readouterr().out
    assert "25 new answers, 0 known, 1 about other cases" in out
    assert "1 people checked 25 of the judged cases" in out
    (one,) = {row.person for row in people.last(place(folder))}
    assert one.startswith("person-")
    agreement = facts(folder)["agreement"][0]
    assert agreement["both"] == 25
    same = [(truth[shown[key]] == "reasoning") == (kind == "reasoning") for key, kind in said.items()]
    assert agreement["same"] == sum(same)
    assert facts(folder)["corrected"]["people"] == 25
    assert run(folder, "--check", str(answers), "--annotator", "Ada") == 0
    assert "0 new answers, 25 known" in capsys.readouterr().out


def test_texts_of_a_model_are_text_on_the_page(tmp_path: Path) -> None:
    evil = '</pre><script>alert(1)</script><img src=x onerror="alert(1)">'
    own = results_data.reply("m", evil, evil, "wrong", prediction=evil, question=evil, gold=evil, options=(evil,),
                             images=("../../etc/passwd",))  # fmt: skip
    path = tmp_path / "page.html"
    write.write(path, evil, [case(own)], tmp_path, evil, tmp_path)
    text = path.read_text("utf-8")
    assert "<script>alert" not in text
    assert "<img" not in text
    assert text.count("<script") == 2
    assert "leads out of the image folder" in text
    with pytest.raises(ReviewError, match="ends in"):
        write.write(tmp_path / "page.txt", "m", [case(own)], tmp_path, evil, tmp_path)
    with pytest.raises(ReviewError, match="too long"):
        write.write(path, "m", [case(own)] * 401, tmp_path, "Ada", tmp_path)


def test_the_last_word_of_a_person_counts_and_can_be_taken_back(tmp_path: Path) -> None:
    def said(kind: str, at: int, who: str = "a") -> people.HumanLabel:
        return people.HumanLabel("case", who, "page", f"2026-01-01T00:00:0{at}.000+00:00", kind)

    assert people.keep(tmp_path, [said("reasoning", 1), said("wrong_count", 2), said("format", 1, "b")]) == 3
    assert people.keep(tmp_path, [said("reasoning", 1)]) == 0
    assert {one.kind for one in people.last(tmp_path)} == {"wrong_count", "format"}
    assert people.decisions(people.last(tmp_path)) == {"case": Decision(U)}
    people.keep(tmp_path, [said("", 3)])
    assert [one.kind for one in people.last(tmp_path)] == ["format"]


def test_a_record_holds_what_people_need_and_no_markup_of_others() -> None:
    own = results_data.reply("m", "b", 1, "wrong", prediction="<b>x</b>", question="<i>?", images=("gone.png",))
    record = server._record(case(own), Path("/nowhere"))
    assert record["external_id"] == case(own).key
    assert record["fields"]["reply"] == "&lt;b&gt;x&lt;/b&gt;"
    assert "image_1" not in record["fields"]
    assert server.dataset_name("micro:start") != server.dataset_name("micro start")
    told = server._layout([case(own)])
    assert {field.name for field in told.fields} == {"question", "image_1", "answers", "reply"}
    assert set(told.questions[0].labels) == set(KINDS)


def test_a_judge_can_be_a_model_of_the_recipe_of_the_run(tmp_path: Path) -> None:
    from tests.support import card_runs

    folder = tmp_path / "run" / "evaluation"
    planted_errors.planted(folder, 4, 0.5)
    with endpoint.serving(Judge()) as judge:
        model = {"engine": "openai", "model": "x", "base_urls": [judge.url]}
        given = card_runs.plain(models={name: model for name in ("teacher", "one", "two", "policy")})
        (tmp_path / "run" / "recipe.yaml").write_text(recipe.dump(given))
        assert cli.main(["errors", "tested", "--in", str(tmp_path / "run"), "--judge", "one", "--judge", "two"]) == 0
    found = facts(folder)
    assert [name.split("/")[0] for name in found["judges"]] == ["one", "two"]
    assert found["estimates"][0]["unknown"] == 0


def test_judges_are_asked_as_the_recipe_says_and_none_while_a_header_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.support import card_runs

    monkeypatch.delenv("JUDGES_KEY", raising=False)
    planted_errors.planted(tmp_path / "run" / "evaluation", 2, 0.5)
    with endpoint.serving(Judge()) as judge:
        model = {"engine": "openai", "model": "x", "base_urls": [judge.url], "max_completion_tokens": True}
        models = {name: model for name in ("teacher", "one", "policy")} | {
            "two": model | {"headers": {"X-Team": "${JUDGES_KEY}"}}
        }
        (tmp_path / "run" / "recipe.yaml").write_text(recipe.dump(card_runs.plain(models=models)))
        words = ["errors", "tested", "--in", str(tmp_path / "run"), "--judge", "one", "--judge", "two", "--allow"]
        assert cli.main(words) == 2
        assert "The environment variable JUDGES_KEY" in capsys.readouterr().err
        assert judge.requests == []
        monkeypatch.setenv("JUDGES_KEY", "open-sesame")
        assert cli.main(words) == 0
    assert all("max_completion_tokens" in body and "max_tokens" not in body for body in judge.requests)
    assert {sent.get("x-team") for sent in judge.headers} == {None, "open-sesame"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a judge with --judge first"),
        (["--judge", "nobody"], "There is no model nobody in the recipe; it has none"),
        (["--judge", "x@http://me:secret@127.0.0.1:9/v1"], "no user name or password"),
        (["--judge", "x@http://127.0.0.1:9/v1", "--votes", "9", "--temperature", "0"], "would be copies"),
        (["--benchmark", "other"], "no replies to other; there are to scenes"),
    ],
)
def test_what_cannot_be_judged_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    planted_errors.planted(tmp_path, 3, 0.5, shown="none")
    assert run(tmp_path, *words) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert "secret" not in captured.err


def test_replies_that_changed_are_judged_anew(tmp_path: Path) -> None:
    planted_errors.planted(tmp_path, 5, 0.5, shown="none")
    with endpoint.serving(Judge()) as judge:
        assert run(tmp_path, "--judge", f"seer@{judge.url}", "--votes", "1") == 0
    planted_errors.planted(tmp_path, 5, 0.5, seed=1, shown="none")
    (model,) = measured(["tested"], str(tmp_path))
    found = analyse(place(tmp_path), wrong(model.replies()))
    assert (found.gone, len(found.cases)) == (5, 0)
    assert found.estimates == ()
    assert len(ERRORS) == 4
    assert read.ORIGIN != server.ORIGIN
