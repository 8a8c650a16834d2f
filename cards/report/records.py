"""The rows of the page as JSON values, streamed from the run's tables in the order of the page.

An index entry holds what filtering and searching need, a detail the rest. DuckDB joins and sorts the tables, on disk
where they exceed its memory limit.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import polars as pl

from capcurriculum.ledger import query
from capcurriculum.ledger.funnel import STEPS
from capcurriculum.reasons import NOT_JUDGED, Reason
from cards.report.fates import Snapshot
from cards.report.images import RowImage

#: The most characters of a text in the index, of a problem or caption in the detail, and of a reply of a probe and of a
#: rollout; a longer reply is cut in the middle.
INDEX_TEXT, TEXT, PROBE_REPLY, ROLLOUT_REPLY = 600, 20_000, 1_600, 800
_MEMORY = "512MB"
_FETCH = 256

_ROWS = """
select s.at, s.question_id, s.stage, s.kind, s.fate, s.filter, s.reason, s.place, s.pass_k, s.pass_n,
       s.pass_unknown,
       coalesce(q.source, c.source, '') as source, coalesce(q.skill, '') as skill,
       coalesce(q.license, c.license, '') as license,
       left(coalesce(nullif(q.text, ''), q.problem, ''), $text) as problem,
       list_transform(coalesce(q.options, []), lambda x: left(x, $text)) as options,
       left(coalesce(r.key, q.answer, ''), $text) as answer,
       case when r.key is null or r.key = q.answer then '' else left(q.answer, $text) end as written,
       left(coalesce(nullif(q.caption, ''), c.caption, ''), $text) as caption,
       coalesce(q.image_id, c.image_id, '') as image_id, coalesce(q.image_path, c.image_path, '') as image_path,
       coalesce(q.model, '') as model
from shown s left join questions q using (question_id)
left join corrected_keys r on r.question_id = s.question_id
left join captions c on c.caption_id = coalesce(nullif(q.caption_id, ''), s.question_id)
order by s.at
"""
_ANSWERS = """
select s.at, a.purpose, a.solver, a.arm, coalesce(a."order", 0), a.rollout, a.outcome, left(a.answer, 200), a.finish,
       left(coalesce(a.detail, ''), 400), a.tokens_out,
       case when length(a.text) <= a.size then a.text
       else left(a.text, a.size // 2) || ' […] ' || right(a.text, a.size // 2) end
from (select *, case when purpose in ('rollout', 'refresh') then $rollout else $probe end as size from answers) a
join shown s using (question_id)
order by s.at, a.purpose, a.solver, a.arm, coalesce(a."order", 0), a.rollout
"""
_VERDICTS = """
select v.at, v.filter, v.keep, v.reason, left(coalesce(v.detail, ''), 400), v.place
from (
    select s.at, v.* from judged v join shown s using (question_id, stage)
    union all
    select s.at, v.* from judged v join questions q on v.question_id = q.caption_id and v.stage = q.stage
    join shown s on s.question_id = q.question_id and s.stage = q.stage where q.caption_id <> q.question_id
) v order by v.at, coalesce(v.place, list_position($steps, v.filter) - 100, 1000), v.filter
"""
_PLACES = 'select s.at, t.split, t."index" from stages t join shown s using (question_id) order by s.at'


@dataclass(frozen=True, slots=True)
class Record:
    """One row of the page, with its index entry and its detail as JSON values."""

    index: dict[str, Any]
    detail: dict[str, Any]
    image: RowImage | None


def records(snapshot: Snapshot, shown: pl.DataFrame) -> Iterator[Record]:
    """The rows `shown` (see `cards.report.fates.chosen`), in their order."""
    run, frames = snapshot.run, {"shown": shown, "judged": _judged(snapshot, shown)}
    with ExitStack() as stack:
        spill = stack.enter_context(tempfile.TemporaryDirectory(prefix="capcurriculum-report-"))

        def rows(sql: str, **values: object) -> Iterator[tuple[Any, ...]]:
            connection = stack.enter_context(query.connect(run, snapshot.corrected, sql))
            connection.execute(f"set memory_limit = '{_MEMORY}'; set temp_directory = '{spill}'")
            for name, frame in frames.items():
                connection.register(name, frame.to_arrow())
            result = connection.execute(sql, values or None)
            while batch := result.fetchmany(_FETCH):
                yield from batch

        places = rows(_PLACES) if any(query.stage_files(run).values()) else iter(())
        answers, verdicts, stages = (
            _Beside(rows(_ANSWERS, rollout=ROLLOUT_REPLY, probe=PROBE_REPLY)),
            _Beside(rows(_VERDICTS, steps=list(STEPS))),
            _Beside(places),
        )
        for row in rows(_ROWS, text=TEXT):
            at = row[0]
            yield _record(row, answers.at(at), verdicts.at(at), stages.at(at))


def _judged(snapshot: Snapshot, shown: pl.DataFrame) -> pl.DataFrame:
    """The verdicts on rows, and on the captions of questions, with `detail`; `place` is null for unlisted steps."""
    key = ["question_id", "stage"]
    ids = shown.lazy().select(key)
    questions = snapshot.run.questions.scan().join(ids, on=key, how="semi")
    ids = pl.concat([ids, questions.select(question_id="caption_id", stage="stage")]).unique()
    details = snapshot.run.verdicts.scan().with_row_index("at").select("at", "detail")
    judged = snapshot.verdicts.join(ids, on=key, how="semi").join(details, on="at")
    place = pl.when("counted").then("place")
    return judged.select(*key, "filter", "keep", "reason", "detail", place=place).collect()


class _Beside:
    """Rows of another stream in the same order, taken group by group; a group may be empty."""

    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._groups = groupby(rows, key=itemgetter(0))
        self._next: tuple[int, list[tuple[Any, ...]]] | None = None

    def at(self, place: int) -> list[tuple[Any, ...]]:
        """The rows at `place` without that column; call in ascending order."""
        if self._next is None:
            for key, group in self._groups:
                self._next = key, [row[1:] for row in group]
                break
        if self._next is None or self._next[0] != place:
            return []
        found = self._next[1]
        self._next = None
        return found


def _record(
    row: tuple[Any, ...], answers: list[tuple[Any, ...]], verdicts: list[tuple[Any, ...]], places: list[tuple[Any, ...]]
) -> Record:
    _, key, stage, kind, fate, name, reason, last, right, readable, unknown, source, skill, license_, *rest = row
    problem, options, answer, written, caption, image_id, image_path, model = rest
    image = RowImage.of(stage, image_id, image_path)
    dropped_as = next((v[3] for v in verdicts if v[0] == name and not v[1]), "")
    index = {
        "id": key, "kind": kind, "stage": stage, "source": source, "skill": skill, "fate": fate,
        "filter": name, "reason": reason,  # of the first filter that dropped the row
        "remarks": _remarks(verdicts, last),
        "k": right, "n": readable, "unknown": unknown,  # rollouts: right of readable, and ungraded ones
        "text": (problem or caption or dropped_as)[:INDEX_TEXT],
        "options": [option[:INDEX_TEXT] for option in options],
        "key": answer[:INDEX_TEXT],
        "image": image.key if image else "",
    }  # fmt: skip
    detail = {
        "problem": problem, "options": list(options), "key": answer,
        "written": written,  # the key before its correction by people, "" without one
        "caption": caption, "license": license_, "path": image_path, "teacher": model, "answers": answers,
        "verdicts": [verdict[:-1] for verdict in verdicts],
        "places": places,
    }  # fmt: skip
    return Record(index, detail, image)


def _remarks(verdicts: list[tuple[Any, ...]], last: int | None) -> list[list[Any]]:
    """Filter, reason, and whether the funnel counts it (1 or 0), for every filter that dropped or labelled a row.

    The funnel counts a row up to the filter at place `last`, which drops it; steps before the filters have no place.
    """
    return [
        [name, reason, int(None in (place, last) or place <= last)]
        for name, _, reason, _, place in verdicts
        if reason not in (Reason.KEPT, *NOT_JUDGED)
    ]
