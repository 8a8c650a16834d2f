"""Order inside a stage: easy to hard by pass rate, ties in an order drawn from the rows' own content."""

from collections.abc import Iterable

from capcurriculum.rows import SCHEMA, digest
from curricula.stage_rows import StageRow


def easy_to_hard(rows: Iterable[StageRow], seed: int) -> list[StageRow]:
    """Highest pass rate first; the order does not depend on how the rows came."""
    return sorted(rows, key=lambda r: (-r.rate.k / r.rate.n, digest(SCHEMA, "tie", seed, r.question.question_id)))
