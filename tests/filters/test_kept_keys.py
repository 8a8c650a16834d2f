"""Rows kept as numbers are those kept as texts, whatever the ledger says and however it is cut into portions."""

import tempfile
from pathlib import Path
from unittest.mock import patch

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from capcurriculum.ledger.verdicts import kept_ids
from capcurriculum.recipe.review import HUMAN
from capcurriculum.rows import Question, Verdict
from capcurriculum.run import writing
from curricula import hashing
from filters import kept_keys
from tests.support import worlds

QUESTIONS = [
    Question(f"{number:016x}", stage, "P?", "B", ("w", "x", "y", "z"), "count", "i", "p", "c", "ci", "s", "mit")
    for number in range(4)
    for stage in [("perception", "text", "visual", "perception")[number]]
]


def said(question: int, name: str, keep: bool, current: bool) -> tuple[int, str, bool, bool]:
    return question, name, keep, current


LEDGERS = st.lists(
    st.lists(
        st.builds(
            said,
            st.integers(0, len(QUESTIONS) - 1),
            st.sampled_from(["rollouts", "difficulty", "leak", HUMAN]),
            st.booleans(),
            st.integers(0, 9).map(bool),
        ),
        min_size=1,
        max_size=30,
    ),
    max_size=4,
)


@settings(max_examples=25, deadline=None)
@given(LEDGERS)
def test_both_keep_the_same_rows(ledger: list[list[tuple[int, str, bool, bool]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        names = ["leak", "rollouts", "difficulty"]
        wanted = worlds.recipe_over(Path(folder), "http://127.0.0.1:1/v1", filters=names)
        digests = {section.name: section.digest(wanted) for section in wanted.filters} | {HUMAN: wanted.review.digest()}
        with writing(wanted) as run:
            run.questions.append(QUESTIONS)
            for shard in ledger:
                run.verdicts.append(
                    Verdict(q.question_id, q.stage, name, keep, "", params=digests[name] if current else "older")
                    for number, name, keep, current in shard
                    for q in [QUESTIONS[number]]
                )
            identity = hashing.number_of(pl.col("question_id"))
            with patch.object(kept_keys, "VERDICTS", 1):  # every shard a portion
                whole = kept_keys.kept(run, wanted, identity)
            by_text = kept_ids(run, wanted).select(key=identity).collect()
    assert whole["key"].to_list() == sorted(by_text["key"].to_list())
