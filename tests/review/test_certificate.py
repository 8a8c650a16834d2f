"""The noise certificate: what people and auditors say of the kept rows, and which rows are drawn for it."""

from collections.abc import Mapping

import polars as pl
import pytest

from capcurriculum.errors import ReviewError
from capcurriculum.reasons import Reason
from capcurriculum.rows import Verdict
from datagen.auditor import Opinion
from filters.human.adjudicate import Decision
from review import design
from review.bound import Looked, most_left
from review.certificate import Answers, Auditors, Certificate, certificates
from review.certify import certifying
from review.sample import Cell, Design, Drawn, Sample

RIGHT, WRONG, OPEN = Reason.KEPT, Reason.KEY_WRONG, Reason.ANOTHER_LOOK
OPINIONS = {RIGHT: Opinion.AGREE, WRONG: Opinion.DISAGREE, OPEN: Opinion.UNSURE, Reason.KEY_CORRECTED: Opinion.DISAGREE}
ROWS = 200


def decision(key: str, reason: Reason) -> Decision:
    keep = reason is not WRONG
    return Decision(OPINIONS[reason], Verdict(key, "perception", "human", keep, reason, "", (), ""))


def certified(
    reasons: Mapping[str, Reason],
    drawn: int = 100,
    rows: int = ROWS,
    then: int = ROWS,
    gone: tuple[str, ...] = (),
    misses: float | None = None,
    auditors: Mapping[str, Opinion] | None = None,
) -> Certificate:
    """The certificate of `rows` rows of one stage and stratum, of which q0, q1, ... are drawn."""
    ids = [f"q{n}" for n in range(rows)]
    taken = tuple(Drawn(key, "perception", "kept", True, drawn / then) for key in ids[:drawn])
    sample = Sample(Design("kept"), (Cell("kept", True, then, drawn),), taken)
    kept = pl.DataFrame({"question_id": ids, "stage": "perception", "stratum": "kept"})
    kept = kept.with_columns(now=~pl.col("question_id").is_in(list(gone)))
    votes = {key: (3 * (reason is not RIGHT), 3 * (reason is RIGHT)) for key, reason in reasons.items()}
    decided = {key: decision(key, reason) for key, reason in reasons.items()}
    (found,) = certificates(sample, kept, Answers(decided, votes, auditors or {}, misses))
    return found


ALL_RIGHT = {f"q{n}": RIGHT for n in range(100)}


def test_the_bound_is_of_the_rows_that_are_left() -> None:
    found = certified(ALL_RIGHT | {"q3": WRONG, "q4": Reason.KEY_CORRECTED})
    assert (found.rows, found.reviewed, found.wrong) == (ROWS - 1, 100, 2)
    assert found.most == most_left([Looked(ROWS, 100, 2)])
    said = " ".join(found.sentences())
    assert f"At most {found.most / 199:.1%} of the 199 rows ({found.most}) have a wrong label" in said
    assert "found 2 wrong" in said
    assert "Mistakes of people are not in it" in said


def test_a_corrected_row_that_filters_drop_now_was_wrong_all_the_same() -> None:
    found = certified(ALL_RIGHT | {"q3": Reason.KEY_CORRECTED}, gone=("q3",))
    assert (found.wrong, found.rows) == (1, ROWS - 1)
    assert found.most == most_left([Looked(ROWS, 100, 1)])


def test_an_undecided_row_that_stays_counts_as_wrong() -> None:
    found = certified(ALL_RIGHT | {"q3": OPEN})
    assert (found.undecided, found.wrong) == (1, 0)
    assert found.most == most_left([Looked(ROWS, 100, 1)]) + 1


def test_rows_without_an_answer_and_rows_built_later_are_said() -> None:
    answered = {key: RIGHT for key in list(ALL_RIGHT)[:60]}
    found = certified(answered, rows=ROWS + 5)
    assert (found.drawn, found.reviewed, found.newer) == (100, 60, 5)
    assert found.most == most_left([Looked(ROWS + 5, 60, 0)]) + 5
    said = " ".join(found.sentences())
    assert "40 more were drawn and have no answer" in said
    assert "5 rows are newer than the sample and count as wrong" in said


def test_what_people_let_pass_is_counted() -> None:
    plain, corrected = certified(ALL_RIGHT), certified(ALL_RIGHT, misses=0.2)
    assert corrected.misses == pytest.approx(0.2**3 + 3 * 0.2**2 * 0.8)  # two or three of three people slip
    assert plain.most < corrected.most < 1.3 * plain.most + 2


def test_people_say_how_far_auditors_are_to_be_trusted() -> None:
    auditors = {"q1": Opinion.DISAGREE, "q2": Opinion.AGREE, "q3": Opinion.UNSURE, "q4": Opinion.AGREE}
    found = certified(ALL_RIGHT | {"q3": WRONG, "q4": WRONG, "q5": OPEN}, auditors=auditors | {"q5": Opinion.AGREE})
    assert found.auditors == Auditors(right=2, right_doubted=1, wrong=2, wrong_doubted=1)
    assert certified(ALL_RIGHT).auditors is None


def test_a_set_is_part_of_the_rows_or_has_more_of_them() -> None:
    found = certified(ALL_RIGHT)
    part, more = found.over(50), found.over(ROWS + 10)
    assert (part.rows, part.most, part.newer) == (50, found.most, 0)
    assert (more.most, more.newer) == (found.most + 10, 10)
    assert found.over(1).share == 1


def test_nobody_has_looked_yet() -> None:
    assert certified({}).share == 1


def population(doubted: int = 0) -> pl.DataFrame:
    ids = [f"q{n}" for n in range(1_000)]
    return pl.DataFrame(
        {"question_id": ids, "stage": "perception", "kept": True, "doubted": [n < doubted for n in range(1_000)]}
    )


def test_a_sample_is_chosen_and_says_beforehand_what_it_can_show() -> None:
    found = certifying(Design("stratified", ("fate",)), population(), {}, 0.05, None)
    assert found.design == Design("kept", size=115)
    assert (
        "115 of 1,000 kept rows show at most 5.0% wrong labels if no more than 2 of them are wrong" in found.sentence()
    )
    assert "with 1.5% wrong labels that is so in 76% of all samples (with 160 rows in 92%)" in found.sentence()
    drawn = design.draw(population(), found.design)
    assert len(drawn.drawn) == 115


def test_what_people_found_is_what_is_expected() -> None:
    people = {f"q{n}": Opinion.DISAGREE if n < 3 else Opinion.AGREE for n in range(100)}
    more = certifying(Design("kept", size=100), population(), people, 0.05, None)
    assert more.expected == 0.03
    assert more.design.size > 115
    people |= {f"q{n}": Opinion.DISAGREE for n in range(6)}
    with pytest.raises(ReviewError, match=r"With 6.0% wrong labels expected no sample shows at most 5.0%"):
        certifying(Design("kept", size=100), population(), people, 0.05, None)


def test_doubted_rows_come_first_where_auditors_find_wrong_rows_among_few() -> None:
    people = {f"q{n}": Opinion.AGREE for n in range(100, 300)} | {f"q{n}": Opinion.DISAGREE for n in range(8)}
    found = certifying(Design("kept"), population(doubted=20), people, 0.05, None)
    assert found.design.by == (design.AUDITORS,)
    assert found.sentence().startswith(f"{found.design.size} of 1,000 kept rows, the 20 that auditors doubt and ")
    drawn = design.draw(population(doubted=20), found.design)
    assert {f"q{n}" for n in range(20)} <= set(drawn.by_id)
    many = certifying(Design("kept"), population(doubted=500), people, 0.05, None)
    assert many.design.by == ()  # a look at half of all rows is no saving
    unknown = certifying(Design("kept"), population(doubted=20), {}, 0.05, None)
    assert unknown.design.by == ()  # nobody has said what the auditors are worth


@pytest.mark.parametrize(("target", "expected"), [(0.0, None), (1.0, None), (0.05, -0.1), (0.05, 0.05)])
def test_what_cannot_be_shown_is_refused(target: float, expected: float | None) -> None:
    with pytest.raises(ReviewError):
        certifying(Design("kept"), population(), {}, target, expected)
    with pytest.raises(ReviewError, match="Only a review of all 10 kept rows"):
        certifying(Design("kept"), population().head(10), {}, 0.05, None)
