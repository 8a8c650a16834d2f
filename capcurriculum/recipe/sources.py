"""The source sections of a recipe: where captioned images and problems come from.

A stage has one `source` or several `sources`. Every kind reads from `path`, a file or folder on disk, or from `repo`, a
data set of the Hub pinned to a `revision`; nothing from the Hub is ever run. What is known of each kind's upstream
(id, licence, stages it can feed, keys of its own) is the table `KINDS`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, get_args

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from capcurriculum.grading.kinds import Kind as AnswerKind
from capcurriculum.recipe.base import Section
from capcurriculum.rows import Stage

KindName = Literal[
    "docci",
    "pixmo",
    "captions",
    "orz",
    "problems",
    "reasoning_gym",
    "vlaa",
    "clevr_math",
    "geo170k",
    "math_puma",
    "arxivqa",
    "docvqa",
    "scenes",
]
Share = Annotated[float, Field(ge=0, le=1)]

PERCEPTION, TEXT, VISUAL = (Stage.PERCEPTION,), (Stage.TEXT,), (Stage.VISUAL,)


@dataclass(frozen=True, slots=True)
class Kind:
    """What is known of a source kind before its data is seen.

    `upstream` is a Hub data set or an address, `license` what its rows carry unless the recipe says otherwise ("" where
    each part has its own), `own` the keys that only this kind understands.
    """

    stages: tuple[Stage, ...]
    upstream: str = ""
    name: str = ""
    license: str = "unknown"
    own: frozenset[str] = frozenset()
    local: bool = True  # reads a path or a repo; False: makes its rows itself


def _own(*keys: str) -> frozenset[str]:
    return frozenset(keys)


_MAPPED = _own("columns", "files", "images", "splits", "config", "max_bytes")
KINDS: Mapping[str, Kind] = {
    "docci": Kind(PERCEPTION, "google/docci", "DOCCI", "cc-by-4.0", _own("splits", "files", "max_bytes")),
    "pixmo": Kind(PERCEPTION, "allenai/pixmo-cap", "PixmoCap", "odc-by", _own("download", "max_bytes")),
    "captions": Kind(PERCEPTION, own=_MAPPED),
    "orz": Kind(TEXT, "https://github.com/Open-Reasoner-Zero/Open-Reasoner-Zero", "ORZ-Math-13k", "mit", _own("files")),
    "problems": Kind((Stage.TEXT, Stage.VISUAL), own=_MAPPED),
    "reasoning_gym": Kind(
        TEXT,
        "https://pypi.org/project/reasoning-gym",
        "reasoning-gym",
        "apache-2.0",
        _own("tasks", "seed"),
        local=False,
    ),
    "vlaa": Kind(VISUAL, "UCSC-VLAA/VLAA-Thinking", "VLAA-Thinking-GRPO-25K", "", _own("parts", "max_bytes")),
    "clevr_math": Kind(
        VISUAL, "dali-does/clevr-math", "CLEVR-Math", "cc-by-4.0", _own("splits", "config", "max_bytes")
    ),
    "geo170k": Kind(VISUAL, "Luckyjhg/Geo170K", "Geo170K", "unknown", _own("max_bytes")),
    "math_puma": Kind(VISUAL, "Math-PUMA/Math-PUMA_Data_Stage2", "Math-PUMA", "gpl-3.0", _own("max_bytes")),
    "arxivqa": Kind(VISUAL, "MMInstruction/ArxivQA", "ArxivQA", "cc-by-sa-4.0", _own("max_bytes")),
    "docvqa": Kind(VISUAL, "lmms-lab/DocVQA", "DocVQA", "apache-2.0", _own("splits", "max_bytes")),
    "scenes": Kind(
        tuple(Stage), own=_own("items", "seed", "lies", "unreadable", "near_duplicates"), local=False
    ),
}  # fmt: skip

#: Splits that are read unless the recipe names others. DOCCI's test and qualification splits, and those of the visual
#: sets, are for measuring; the released perception data did not leave DOCCI's out.
DEFAULT_SPLITS: Mapping[str, tuple[str, ...]] = {
    "docci": ("train",),
    "clevr_math": ("train",),
    "docvqa": ("train",),
}


class AnswerColumn(Section):
    """The column of the marked answers, and their kind where all of the source's are of one (docs/grading.md)."""

    column: str = "answer"
    kind: AnswerKind | None = None


class GoldRule(Section):
    """How the final answer is taken from a worked solution: what stands on the line behind the last `after`."""

    after: str = ""


class Columns(Section):
    """Which column of a data set holds what; a dot reaches into a nested column (`ground_truth.value`).

    An empty name means there is no such column. `options` holds the texts of a choice in order, or names the
    columns that hold one each (`[A, B, C, D]`); `split` and `license`
    are read row by row where a data set mixes several. `answer` names a column, or a column and the kind of its
    answers; `gold` says where in it the final answer stands. `answers` says what a key beside options is; without it
    whole numbers are counted as all rows of the source together show.
    """

    id: str = ""
    image: str = "image"
    caption: str = "caption"
    problem: str = "problem"
    answer: str | AnswerColumn = "answer"
    gold: GoldRule = GoldRule()
    answers: Literal["letters", "zero_based", "one_based", "text"] | None = None
    options: str | tuple[str, ...] = ""
    skill: str = ""
    split: str = ""
    license: str = ""

    @property
    def option_columns(self) -> tuple[str, ...]:
        """The columns of the options: one that holds all, or one for each; none where there are no options."""
        return self.options if isinstance(self.options, tuple) else tuple(filter(None, (self.options,)))

    @property
    def answer_column(self) -> str:
        """The column of the marked answers."""
        return self.answer if isinstance(self.answer, str) else self.answer.column

    @property
    def answer_kind(self) -> str:
        """The kind of all its answers, "" where that is not said."""
        return "" if isinstance(self.answer, str) or self.answer.kind is None else self.answer.kind.value


class Download(Section):
    """How politely images are fetched: requests at once in all and to one host, and seconds between two to one host.

    `timeout_seconds` bounds a whole request, redirects included; `tries` counts attempts after refusals that pass
    (429, 5xx, broken connections).
    """

    concurrency: PositiveInt = 32
    per_host: PositiveInt = 2
    pause_seconds: Annotated[float, Field(ge=0)] = 0.1
    timeout_seconds: PositiveFloat = 30
    tries: PositiveInt = 3
    user_agent: str = "capcurriculum (data set builder)"


class Limits(Section):
    """What a source may cost before a row or a file of it is refused; docs/limits.md has the reasons.

    Of texts, characters: `line` of a JSON line, `caption`, and `problem`, its options among it. Of archives: `members`,
    `unpacked_bytes` of all of them together, and `ratio`, how many times its own size an archive may unpack to. Bytes:
    `row_bytes` of a row of a JSON document, `group_bytes` of what a row group of Parquet unpacks to.
    """

    line: PositiveInt = 5_000_000
    caption: PositiveInt = 10_000
    problem: PositiveInt = 50_000
    members: PositiveInt = 5_000_000
    unpacked_bytes: PositiveInt = 2_000_000_000_000
    ratio: PositiveInt = 100
    row_bytes: PositiveInt = 200_000_000
    group_bytes: PositiveInt = 500_000_000


class Task(Section):
    """Rows of one reasoning-gym task. `single` says that its verifier accepts one answer alone, where it could more."""

    items: PositiveInt = 100
    config: dict[str, bool | int | float | str] = {}
    single: bool = False


class SourceSection(Section):
    """Where captioned images or problems come from; see `KINDS` and docs/sources.md for what each kind reads.

    `limit` takes the first rows of the source only. `parts` (of `vlaa`) maps a part to how many of its rows are taken,
    null for all. `max_bytes` and `max_pixels` bound one image, `limits` all else. A file that
    breaks off is refused, or gives its whole rows with `incomplete: keep`.
    """

    kind: KindName
    path: str = ""
    repo: str = ""
    revision: str = ""
    config: str = ""
    files: tuple[str, ...] = ()
    images: str = ""
    columns: Columns | None = None
    splits: tuple[str, ...] = ()
    parts: dict[str, PositiveInt | None] = {}
    tasks: dict[str, Task] = {}
    download: Download = Download()
    limit: PositiveInt | None = None
    incomplete: Literal["refuse", "keep"] = "refuse"
    items: PositiveInt = 300
    seed: int = 0
    lies: Share = 0.0
    unreadable: Share = 0.0
    near_duplicates: Share = 0.0
    source: str = ""
    license: str = "unknown"
    max_pixels: PositiveInt = 64_000_000
    max_bytes: PositiveInt = 50_000_000
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _fits_its_kind(self) -> "SourceSection":
        own = frozenset().union(*(kind.own for kind in KINDS.values()))
        foreign = sorted(key for key in own - KINDS[self.kind].own if getattr(self, key) != _default(key))
        if foreign:
            raise ValueError(f"a {self.kind} source has no {', '.join(foreign)}; leave that out, or change its kind")
        if self.kind == "reasoning_gym" and not self.tasks:
            raise ValueError("a reasoning_gym source needs tasks, for example {gcd: {items: 500}}")
        if self.kind == "captions" and self.columns is None:
            raise ValueError("a captions source needs columns, for example {image: file_name, caption: text}")
        if self.kind == "vlaa" and self.license != "unknown":
            raise ValueError("a vlaa source takes no license: every part keeps the licence of its own upstream")
        return self

    @model_validator(mode="after")
    def _somewhere(self) -> "SourceSection":
        if not KINDS[self.kind].local:
            if self.path or self.repo:
                raise ValueError(f"a {self.kind} source makes its rows itself and takes no path and no repo")
        elif bool(self.path) == bool(self.repo):
            raise ValueError(f"a {self.kind} source needs a path or a repo, and not both")
        if self.repo and not _is_commit(self.revision):
            raise ValueError(
                f"the repo {self.repo} needs a revision: the 40 hex digits of a commit, so that it is pinned"
            )
        return self

    @property
    def name(self) -> str:
        """What its rows say as their source."""
        return self.source or KINDS[self.kind].name

    @property
    def row_license(self) -> str:
        """The licence its rows carry: the recipe's word, else what is known of the kind's upstream."""
        return KINDS[self.kind].license if self.license == "unknown" else self.license

    @property
    def takes_incomplete(self) -> bool:
        """Whether the whole rows of a file that breaks off are taken."""
        return self.incomplete == "keep"

    @property
    def selected_splits(self) -> tuple[str, ...]:
        """The splits whose rows are taken; empty for all."""
        return self.splits or DEFAULT_SPLITS.get(self.kind, ())


def _default(key: str) -> object:
    return SourceSection.model_fields[key].get_default(call_default_factory=True)


class StageSources(Section):
    """What every stage section begins with: one `source` or several `sources`."""

    source: SourceSection | None = None
    sources: tuple[SourceSection, ...] = ()

    @model_validator(mode="after")
    def _one_or_several(self) -> "StageSources":
        if self.source is not None and self.sources:
            raise ValueError("both source and sources are given; put all into sources, which is a list")
        if self.source is None and not self.sources:
            raise ValueError("source is missing; add `source: {kind: …}`, or several as a list in `sources`")
        return self

    @property
    def all_sources(self) -> tuple[SourceSection, ...]:
        """The stage's sources in order."""
        return self.sources or ((self.source,) if self.source else ())


def check_stage(stage: str, kind: Stage, section: StageSources) -> None:
    """Refuse sources that cannot feed a stage made in the way of `kind`.

    Raises:
        ValueError: a source's kind gives rows of another stage.
    """
    for source in section.all_sources:
        if kind not in KINDS[source.kind].stages:
            fitting = ", ".join(name for name in get_args(KindName) if kind in KINDS[name].stages)
            raise ValueError(f"{stage}: a {source.kind} source does not feed such a stage; those that do are {fitting}")


def _is_commit(revision: str) -> bool:
    return len(revision) == 40 and all(digit in "0123456789abcdef" for digit in revision)


#: Keys of a source that only say where its data lies, how fast it comes, what it may cost, or whether a broken file is
#: taken.
_WHERE = ("path", "images", "incomplete", "limits", *(f"download.{key}" for key in Download.model_fields))
#: The same as dotted keys of a recipe.
SOURCE_NO_EFFECT: tuple[str, ...] = tuple(
    f"{stage}.{place}.{key}"
    for stage in (*Stage, "capabilities.*")
    for place in ("source", "sources.*")
    for key in _WHERE
)
