"""Evaluated models side by side: what is known of both is paired, what is not is counted, and nothing is invented."""

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from capcurriculum import cli, mean_intervals, stats
from capcurriculum.errors import RunError
from evaluation.compare import budget, command, pairs
from evaluation.compare.comparison import compared
from evaluation.compare.pairs import Side
from evaluation.published import paper
from evaluation.results import comparison_tables, comparisons, results, samples
from evaluation.results.labels import measured
from tests.support import results_data
from tests.support.card_text import FRAGMENTS, check
from tests.support.results_data import outcomes, reply, write

MAIN = [name for names in paper().suites["main"].values() for name in names]


def planted(folder: Path, benchmark: str = "scenes", rows: int = 60, **changes: Any) -> None:
    """`start` is right on every third sample in 40 tokens, `after` on two of three in 20."""
    write(folder, outcomes("start", benchmark, {n: ("right" if n % 3 == 0 else "wrong", 40) for n in range(rows)},
                           **changes))  # fmt: skip
    write(folder, outcomes("after", benchmark, {n: ("right" if n % 3 else "wrong", 20) for n in range(rows)},
                           **changes))  # fmt: skip


def test_mcnemar_is_the_sign_test_on_what_one_model_alone_has_right() -> None:
    before = {str(n): n < 10 for n in range(30)}
    after = {str(n): 8 <= n < 18 for n in range(30)}
    found = stats.mcnemar(before, after)
    # 8 rows lost, 8 won: as even as can be; 1 against 9 is 2 * (1 + 10) / 2**10.
    assert (found.only_before, found.only_after, found.p) == (8, 8, 1.0)
    uneven = stats.mcnemar({str(n): n == 0 for n in range(10)}, {str(n): n != 0 for n in range(10)})
    assert uneven.p == pytest.approx(22 / 1024)
    assert stats.mcnemar(before, before).p == 1.0
    with pytest.raises(ValueError, match="same rows"):
        stats.mcnemar(before, {})


def test_holm_multiplies_by_what_is_left_and_never_falls() -> None:
    assert stats.holm([0.04, 0.01, 0.03, 0.005]) == pytest.approx([0.06, 0.03, 0.06, 0.02])
    assert stats.holm([0.9, 0.8]) == [1.0, 1.0]
    assert stats.holm([]) == []


def test_a_ratio_of_lengths_and_its_interval_hold_the_planted_one() -> None:
    random = np.random.default_rng(3)
    held = 0
    for number in range(25):
        first = random.gamma(4, 100, 120)
        lengths = np.stack([first, first * random.lognormal(np.log(0.792) - 0.02, 0.2, 120)], axis=1)
        found = stats.ratio_of([lengths], [mean_intervals.bootstrap(lengths, 400, number)])
        assert found is not None
        held += found.low <= 0.792 <= found.high
    assert held >= 21
    assert stats.ratio_of([np.zeros((3, 2))], [np.zeros((400, 2))]) is None


def test_gains_of_several_benchmarks_weigh_each_as_much() -> None:
    found = stats.mean_gain([np.ones(1000), np.zeros(10)], draws=2000)
    assert (found.rows, found.mean) == (1010, 0.5)
    # Of ten rows the mean may be 0.31 to either side, and half of it counts.
    assert (found.low, found.high) == (pytest.approx(0.345, abs=0.02), pytest.approx(0.655, abs=0.02))


def test_only_what_is_known_of_both_is_paired_and_the_rest_is_told(tmp_path: Path) -> None:
    first = {"a": ("right", 10), "b": ("wrong", 10), "c": ("failed", None), "d": ("right", 10), "e": ("failed", None)}
    second = {"a": ("unparsed", 30), "b": ("right", 10), "c": ("right", 10), "d": ("failed", None), "f": ("right", 10)}
    write(tmp_path, outcomes("one", "scenes", first), scored=False)
    write(tmp_path, outcomes("two", "scenes", second), scored=False)
    found = compared(measured(["one", "two"], str(tmp_path)), draws=200)
    (line,) = found.pairs[0].lines
    assert (line.pairs, line.unknown, line.finished) == (2, 4, False)
    assert (line.before, line.after, line.gain.value) == (50, 50, 0)
    assert (line.only_before, line.only_after, line.p) == (1, 1, 1.0)
    # a -1, b +1; c is 0 or 1, d -1 or 0, e -1 to 1, f 0 or 1.
    assert (line.least, line.most) == (pytest.approx(-200 / 6), pytest.approx(300 / 6))
    assert found.pairs[0].groups == ()
    assert [one.state for one in found.standings] == ["incomplete", "incomplete"]
    text = comparison_tables.headline(found, paper(), ()).markdown()
    assert "50" not in text


def test_the_bounds_of_the_unknown_are_what_trying_all_outcomes_gives(tmp_path: Path) -> None:
    random = Random(5)
    for _ in range(20):
        kinds = ("right", "wrong", "unparsed", "failed")
        told = [{n: (random.choice(kinds), 1) for n in range(4)} for _ in range(2)]
        told[0][9] = told[1][9] = ("right", 1)
        one, other = ({str(k): results_data.reply("m", "b", k, o) for k, (o, _) in side.items()} for side in told)
        known = [pairs.known(side) for side in (one, other)]
        pair = pairs.Paired(("own", "b"), frozenset(one), *known, np.zeros((0, 2)), finished=True)
        tried = [
            sum((bits >> i + 5 & 1 if known[1].get(k) is None else known[1][k])
                - (bits >> i & 1 if known[0].get(k) is None else known[0][k]) for i, k in enumerate(sorted(one)))
            for bits in range(1 << 10)
        ]  # fmt: skip
        assert pairs.bounds(pair) == (min(tried) / 5, max(tried) / 5)


def test_accuracy_at_equal_length_counts_right_replies_that_end_in_time(tmp_path: Path) -> None:
    first = {"a": ("right", 8), "b": ("right", 64), "c": ("wrong", 4), "d": ("right", None), "e": ("failed", 9)}
    second = {"a": ("right", 16), "b": ("wrong", 4), "c": ("right", 32), "d": ("right", 4), "e": ("right", 4)}
    write(tmp_path, outcomes("one", "scenes", first))
    write(tmp_path, outcomes("two", "scenes", second))
    found = budget.budget([Side(one, one.replies()) for one in measured(["one", "two"], str(tmp_path))])
    assert found is not None
    assert (found.samples, found.tokens[0], found.tokens[-1]) == (3, 4, 64)
    one, two = ({t: round(a) for t, a in zip(found.tokens, curve.accuracy, strict=True)} for curve in found.curves)
    assert (one[4], one[8], one[32], one[64]) == (0, 33, 33, 67)
    assert (two[4], two[16], two[32], two[64]) == (0, 33, 67, 67)
    assert all(sorted(curve.accuracy) == list(curve.accuracy) for curve in found.curves)
    assert all(low <= a <= high for c in found.curves for low, a, high in zip(c.low, c.accuracy, c.high, strict=True))
    assert budget.grid(np.array([7, 7])).tolist() == [7]
    assert budget.grid(np.arange(1, 1025))[[0, 64, 128]].tolist() == [1, 512, 1024]


def test_published_numbers_are_beside_measured_ones_and_in_no_average_of_theirs(tmp_path: Path) -> None:
    for place, name in enumerate(MAIN):
        for model in ("start", "after"):
            right = 5 + place % 2 + (model == "after")
            told: dict[object, tuple[str, int | None]] = {n: ("right" if n < right else "wrong", 10) for n in range(10)}
            write(tmp_path, outcomes(model, name, told, suite="main"))
    found = compared(measured(["start", "after"], str(tmp_path)), draws=200)
    published = comparison_tables.chosen(found, paper())
    assert {one.setting for one in published} >= {"base", "merged", "staged", "OneThinker-8B"}
    text = comparison_tables.headline(found, paper(), published).markdown()
    assert "| `start` | measured by us | 55.00 | 55.00 | 55.00 |" in text
    assert "| `after` | measured by us | 65.00 | 65.00 | 65.00 |" in text
    assert "| Qwen3-VL-8B-Instruct staged | published, not measured by us | 51.10 | 80.44 | 65.77 |" in text
    assert [(g.name, g.gain.value) for g in found.pairs[0].groups] == [
        ("visual_math", pytest.approx(10)), ("perception", pytest.approx(10)), ("overall", pytest.approx(10)),
    ]  # fmt: skip
    scored = comparison_tables.scores(found, published).markdown()
    assert "| `POPE` | Qwen3-VL-8B-Instruct staged | published, not measured by us | 87.8 (from a figure) |" in scored
    assert "published" not in found.model_dump_json()


def test_the_verb_prints_tables_and_writes_what_the_card_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    planted(tmp_path / "one")
    planted(tmp_path / "one", "more")
    assert cli.main(["compare", "start", "after", "--in", str(tmp_path / "one")]) == 0
    out = capsys.readouterr().out
    assert "mean of 2 benchmarks" in out
    assert "+33.3" in out
    folder = tmp_path / "one" / "comparisons" / "start-vs-after"
    assert {path.name for path in folder.iterdir()} == {
        "comparison.json", "comparison.md", "gains.svg", "gains.png", "equal_length.svg", "equal_length.png",
    }  # fmt: skip
    (found,) = comparisons.comparisons(tmp_path / "one")
    line = found.pairs[0].lines[0]
    assert (line.pairs, line.only_before, line.only_after) == (60, 20, 40)
    assert line.length is not None
    assert line.length.value == 0.5
    assert found.pairs[0].groups[0].name == pairs.ALL
    check((folder / "comparison.md").read_text("utf-8").replace("](equal_length.svg)", "](pictures/a.png)")
          .replace("](gains.svg)", "](pictures/b.png)"))  # fmt: skip
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert cli.main(["compare", f"{tmp_path / 'one'}:start", f"{tmp_path / 'one'}:after"]) == 0
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_names_of_models_and_benchmarks_mean_nothing_to_markdown_or_plots(tmp_path: Path) -> None:
    nasty = "".join(FRAGMENTS).replace("\x00", "")
    names = [f"{nasty} {number}" for number in range(3)]
    for name in names[:2]:
        write(tmp_path, outcomes(name, names[2], {n: ("right", n) for n in range(3)}, judge=nasty))
    found = compared(measured(names[:2], str(tmp_path)), draws=20)
    command.write(found, (), tmp_path / "out")
    text = (tmp_path / "out" / "comparison.md").read_text("utf-8")
    check(text.replace("](equal_length.svg)", "](pictures/a.png)").replace("](gains.svg)", "](pictures/b.png)"))


def test_models_of_several_folders_are_told_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name, [reply("m", "scenes", 1, "right")])
    found = measured([str(tmp_path / "a"), str(tmp_path / "b")])
    assert [one.name for one in found] == ["m (a)", "m (b)"]


def test_replies_of_an_older_setup_do_not_count(tmp_path: Path) -> None:
    samples.append(tmp_path, [reply("one", "scenes", n, "wrong", setup="older") for n in range(9)])
    planted_now = {n: ("right", 5) for n in range(9)}
    write(tmp_path, outcomes("one", "scenes", planted_now))
    write(tmp_path, outcomes("two", "scenes", planted_now))
    (line,) = compared(measured(["one", "two"], str(tmp_path)), draws=50).pairs[0].lines
    assert (line.before, line.after) == (100, 100)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["start", "--in", "{}"], "two models or more"),
        (["start", "other", "--in", "{}"], "its models are: after, start"),
        (["{}", "{}:start"], "holds results of several models"),
        (["start", "start", "--in", "{}"], "named twice"),
        (["start", "after", "--in", "{}", "--published", "me/mine"], "Nothing published is from me/mine"),
        (["start", "after", "--in", "{}", "--out", "{}/file/below"], "give another --out"),
        (["start", "after", "--in", "{}/nowhere"], "There is no run at"),
        (["start", "elsewhere", "--in", "{}"], "no sample in common"),
        (["start", "newer", "--in", "{}"], "another version of it"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    folder = tmp_path / "results"
    planted(folder)
    (folder / "file").touch()
    if "elsewhere" in words:
        write(folder, [reply("elsewhere", "others", 1, "right")])
    if "newer" in words:
        write(folder, [reply("newer", "scenes", 1, "right", benchmark_digest="another")])
    assert cli.main(["compare", *(word.replace("{}", str(folder)) for word in words)]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1


def test_a_damaged_comparison_is_one_sentence(tmp_path: Path) -> None:
    folder = tmp_path / comparisons.FOLDER / "x"
    folder.mkdir(parents=True)
    (folder / comparisons.FILE).write_text("{")
    with pytest.raises(RunError, match="compare again"):
        comparisons.comparisons(tmp_path)
    assert results.scores_in(tmp_path) == []


def test_few_samples_have_exact_intervals_and_are_said_to_be_too_few(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for model in ("start", "after"):
        write(tmp_path, outcomes(model, "tiny", {n: ("right", 10) for n in range(7)}))
        write(tmp_path, outcomes(model, "small", {n: ("right" if model == "after" else "wrong", 10) for n in range(7)}))
    assert cli.main(["compare", "start", "after", "--in", str(tmp_path)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "Too few samples to tell a gain of `after` from a loss: `tiny` (7)." in out
    small, tiny = comparisons.comparisons(tmp_path)[0].pairs[0].lines
    # 1 - 0.025 ** (1 / 7), as of Clopper and Pearson.
    assert (tiny.gain.low, tiny.gain.high) == (pytest.approx(-41, abs=0.5), pytest.approx(41, abs=0.5))
    assert (small.gain.low > 0, small.p) == (True, pytest.approx(2 / 2**7))
    assert tiny.length is not None
    assert (tiny.length.value, tiny.length.low, tiny.length.high) == (1, None, None)
    folder = tmp_path / "comparisons" / "start-vs-after"
    assert "1.000 (too few samples)" in (folder / "comparison.md").read_text("utf-8")


def test_a_curve_that_nothing_moves_has_an_interval(tmp_path: Path) -> None:
    for model in ("one", "two"):
        write(tmp_path, outcomes(model, "tiny", {n: ("right", 10 + n) for n in range(40)}))
    found = budget.budget([Side(one, one.replies()) for one in measured(["one", "two"], str(tmp_path))])
    assert found is not None
    for curve in found.curves:
        assert (curve.accuracy[-1], curve.high[-1]) == (100, 100)
        assert curve.low[-1] == pytest.approx(91.2, abs=0.8)  # of Clopper and Pearson
        assert all(low <= a <= high for low, a, high in zip(curve.low, curve.accuracy, curve.high, strict=True))
