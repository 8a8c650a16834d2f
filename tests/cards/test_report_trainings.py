"""What the report says of trainings: curves, replies before and after, and none of it more than text."""

import base64
import re
import sys
from pathlib import Path

import pytest

from capcurriculum.errors import TrainerError
from capcurriculum.render.progress import Display
from capcurriculum.run import Run
from cards.report.trainings import TEXT
from cards.report.write import report
from tests.cards.test_report import Page
from tests.support import report_runs, validations
from training.plan import State


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return report_runs.make(tmp_path / "planted", 10, images=2)


def trained(run: Run, name: str = "training") -> Path:
    """A training of two stages, the second of which was never validated; its replies are hostile."""
    problems = {f"q{n}": f"Which patch? {text}" for n, text in enumerate(report_runs.NASTY)}
    validations.rows(run.path, "perception", problems)
    folder = run.path / name
    validations.planned(folder, ("perception", State.DONE, 1), ("text", State.RUNNING, 0))
    for step in (0, 1):
        replies = [(f"q{n}", f"reply {step} {text}") for n, text in enumerate(report_runs.NASTY)]
        validations.said(folder, "perception", step, replies, outcome=("wrong", "right")[step])
    return folder


def written(run: Run) -> str:
    return report(run, None, Display()).read_text("utf-8")


def test_without_a_training_there_is_no_word_of_one(run: Run) -> None:
    assert 'id="training"' not in written(run)


def test_replies_stand_side_by_side_and_hostile_ones_are_text(run: Run) -> None:
    before = Page(written(run))
    trained(run)
    text = written(run)
    page = Page(text)
    assert [about for tag, about in page.tags if tag == "script"] == [a for tag, a in before.tags if tag == "script"]
    assert not any(name.startswith("on") for _, about in page.tags for name in about)
    section = text[text.index('id="training"') : text.index('id="gallery"')]
    assert section.count("<tr>") == 1 + len(report_runs.NASTY)
    assert "before (step 0)" in section
    assert "5 of 5 rows" in section
    assert section.count('class="chip wrong"') == section.count('class="chip right"') == 5
    assert "reply 1 &lt;/script&gt;&lt;script&gt;globalThis.owned = 1" in section
    assert "⟨U+202E⟩" in section
    assert "\u202e" not in section
    assert "No replies before and after can be shown: text has no validation after its beginning." in section
    assert section.count("data:image/webp;base64,") == 5
    assert "{{ 7 * 7 }}" in section


def test_the_curves_are_a_picture_inside_the_page(run: Run) -> None:
    pytest.importorskip("matplotlib")
    trained(run)
    (about,) = [about for tag, about in Page(written(run)).tags if tag == "img" and about.get("class") == "curves"]
    kind, data = str(about["src"]).split(";base64,")
    assert kind == "data:image/svg+xml"
    assert base64.b64decode(data).startswith(b"<?xml")
    assert about["alt"] == "Against step, over all stages: held-out accuracy of perception, text, reward."
    trained(run, "trainings/other")
    pictures = re.findall(r"<h3>(.*)</h3>\s*<figure class=\"panel\">\s*<img class=\"curves\"", written(run))
    assert pictures == ["All trainings", "training", "other"]


def test_without_matplotlib_the_page_says_so_and_shows_the_rest(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    trained(run)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    text = written(run)
    assert "No curves: Plots are drawn by matplotlib, which is not installed" in text
    assert "before (step 0)" in text


def test_a_picture_that_cannot_be_read_and_a_long_reply_cost_only_themselves(run: Run) -> None:
    folder = trained(run)
    validations.rows(run.path, "perception", {"q0": "Which patch?"}, picture=b"no picture")
    validations.said(folder, "perception", 1, [("q0", f"begin {'x' * 2 * TEXT} end")])
    section = written(run).partition('id="training"')[2].partition('id="gallery"')[0]
    assert "data:image/webp" not in section
    assert re.search(r"begin x+ \[…\] x+ end", section)
    assert max(map(len, re.findall("x+", section))) <= TEXT


def test_a_damaged_training_is_one_sentence(run: Run) -> None:
    (trained(run) / "plan.json").write_text("{")
    with pytest.raises(TrainerError, match="is damaged"):
        written(run)
