"""The parts of a data set card as Markdown: every text of a run goes through `capcurriculum.render.markdown` here."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.parquet as pq

from capcurriculum.ledger.funnel import FunnelLine
from capcurriculum.recipe import Recipe
from capcurriculum.render.markdown import Md, block, code, link, listed, number, percent, table
from cards import citations
from cards.citations import Entry, Origin
from cards.dataset.columns import COLUMNS
from cards.dataset.example import Example
from cards.dataset.limits import shown
from cards.dataset.road import Cost, Prompt, Role
from cards.dataset.rows import Keys, PassRates, SourceCount, Split
from cards.estimates import Estimate
from cards.licences import UNKNOWN, Licence
from cards.staged import Staged

_PROMPT = 6_000
_STAGES: Mapping[str, str] = {
    "perception": "four-option questions about details of a picture, written by a teacher model from the picture's "
    "caption. Kept are those whose answer solvers find in the caption and not in the picture, so they train seeing.",
    "text": "problems in words with an answer that can be graded by a program. They have no picture, so they train "
    "reasoning alone.",
    "visual": "problems that come with a picture they cannot be solved without thinking about. They train seeing and "
    "reasoning together.",
}


def stage(name: str, recipe: Recipe) -> Md:
    """What rows of a stage are; a capability of a recipe's own is made in the way of a built-in stage."""
    try:
        way = str(recipe.kind(name))
    except (KeyError, ValueError):
        way = name  # a set that was downloaded may be of no stage of this recipe
    said = _STAGES.get(way, "rows of a capability that the recipe defines.")
    own = "" if way == name or way not in _STAGES else f"a capability of the recipe's own, made as {code(way)} is: "
    return Md(f"{code(name)}: {own}{said}")


def repo(name: str) -> Md:
    """A link to a data set of the Hub; a name that is none is only shown."""
    try:
        return link(name, f"https://huggingface.co/datasets/{name}")
    except ValueError:
        return code(name)


def title(name: str) -> Md:
    """The name of a repo as a heading: as it is where it is plain, else as code."""
    return Md(name) if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", name) else code(name)


def splits(staged: Staged, found: Mapping[str, Sequence[Split]]) -> Md:
    """Rows of every set and split."""
    lines = [
        (code(one.name), code(split.name), split.rows, split.pictures, number(split.pass_rate, 3))
        for one in staged.sets
        for split in found[one.name]
    ]
    names = ("rows", "with a picture", "mean pass rate")
    return table(("set", "split", *names), lines, names)


def load(staged: Staged) -> Md:
    """How to open it."""
    config = "" if staged.sets[0].config == "default" else f', "{staged.sets[0].config}"'
    split = next(iter(staged.sets[0].data_files))
    text = (
        "from datasets import load_dataset\n\n"
        f'rows = load_dataset("{staged.repo_id}"{config}, split="{split}")\n'
        'print(rows[0]["problem"], rows[0]["answer"])'
    )
    return block(text, language="python")


def columns(staged: Staged) -> Md:
    """What each column of the files holds."""
    path = next(path for paths in staged.sets[0].files.values() for path in paths)
    return table(("column", "what it holds"), ((code(n), COLUMNS.get(n, Md(""))) for n in pq.read_schema(path).names))


def example(one: Example, folder: str) -> dict[str, Any]:
    """A row as a reader sees it."""
    row = one.row
    options = "\n".join(f"{chr(65 + place)}: {text}" for place, text in enumerate(row.get("options") or ()))
    problem = str(row.get("problem") or "").removeprefix("<image>")
    return {
        "set": code(one.set),
        "split": code(one.split),
        "picture": Md(f"![The picture of the example]({folder}/{one.picture})") if one.picture else None,
        "scale": Md(f", its picture {one.enlarged} times as large as it is" if one.enlarged > 1 else ""),
        "problem": block(problem),
        "options": block(options) if options and options not in problem else None,
        "answer": code(str(row.get("answer") or "")),
        "pass": Md(f"{row.get('pass_k')} of {row.get('pass_n')}"),
        "source": code(str(row.get("source") or "")),
        "license": code(str(row.get("license") or "")),
        "skill": code(str(row.get("skill") or "")),
    }


def funnel(lines: Sequence[FunnelLine]) -> Md | None:
    """What each filter met, kept and dropped, and why; None where nothing was judged."""
    rows = [
        (
            code(line.stage),
            code(line.filter),
            line.met,
            line.kept,
            percent(line.kept / line.met if line.met else None),
            listed(
                (
                    Md(f"{code(why)} {count:,}")
                    for why, count in sorted(line.dropped.items(), key=lambda x: (-x[1], x[0]))
                ),
                none="",
            ),
        )
        for line in lines
    ]
    names = ("rows", "kept", "share")
    return table(("stage", "filter", *names, "dropped because"), rows, names) if rows else None


def sources(counted: Sequence[SourceCount], origins: Mapping[str, Origin]) -> Md:
    """Rows by source and licence."""
    rows = []
    for one in counted:
        declared = origins[one.source].declared
        upstream = code(declared.upstream) if declared and declared.upstream else Md("not stated")
        if declared and declared.kind == "scenes":
            upstream = Md("the embedded world")
        revision = code(declared.revision) if declared and declared.revision else Md("not stated")
        taken = listed(map(code, declared.splits), none="all") if declared else Md("unknown")
        rows.append((code(one.source), one.rows, code(one.license or "unknown"), upstream, revision, taken))
    return table(("source", "rows", "licence", "upstream", "revision", "its splits"), rows, ("rows",))


def licences(found: Sequence[Licence]) -> Md:
    """What the licences ask for, and which of them asks for most."""
    if not found:
        return Md("There are no rows, and so no licences.")
    first, *others = found
    if not others:
        said = "The licence of the rows" if first.hub == UNKNOWN else f"All rows are under {code(first.name)}, which"
        return Md(f"{said} {first.asks}.")
    lines = [
        f"**The rows are under several licences, and each row keeps its own (column `license`).** The strictest is "
        f"{code(first.name or 'unknown')} ({first.rows:,} rows), which {first.asks}. Whoever uses the whole set has to "
        "meet the terms of every one:",
        "",
        *(f"- {code(one.name or 'unknown')}, {one.rows:,} rows: {one.asks}." for one in found),
    ]
    return Md("\n".join(lines))


def evidence(origins: Mapping[str, Origin]) -> list[Md]:
    """How the licence of each source is known."""
    found = []
    for source, one in origins.items():
        if not one.entries:
            found.append(Md(f"{code(source)}: as the recipe or its data said; we know nothing else of it."))
        for entry in one.entries:
            name = link(entry.name, entry.url) if entry.url else Md(entry.name)
            found.append(Md(f"{code(source)} ({name}): {entry.license}, from {entry.evidence}."))
    return found


def keys(found: Sequence[Keys]) -> list[Md]:
    """One sentence a stage on its answer keys."""
    said = []
    for one in found:
        counts = ", ".join(f"{letter} {count:,}" for letter, count in one.counts.items())
        test = f"chi-square {one.chi_square:.2f} with {len(one.counts) - 1} degrees of freedom, "
        test += "too few rows for a p-value" if one.p is None else f"p = {one.p:.3g}"
        said.append(Md(f"{code(one.stage)}: {counts} ({test})"))
    return said


def pass_rates(found: Sequence[PassRates]) -> Md | None:
    """Rows by pass rate, in numbers."""
    rows = []
    for one in found:
        bars = len(one.counts)
        never, always = one.counts[0], one.counts[-1]
        replies = f"{one.n[0]}" if one.n[0] == one.n[1] else f"{one.n[0]} to {one.n[1]}"
        rows.append(
            (code(one.stage), sum(one.counts), Md(replies), never, sum(one.counts[1 : bars - 1]), always,
             number(one.width), one.partial)
        )  # fmt: skip
    names = ("rows", "replies a row", "nearest to 0", "between", "nearest to 1", "mean interval width", "stopped early")
    return table(("stage", *names), rows, names) if rows else None


def estimate(one: Estimate) -> dict[str, Md]:
    """Shares of wrong labels by one file."""
    rows = [
        (code(rate.stratum), rate.rows, rate.asked, rate.wrong, rate.unknown, shown(rate.share, rate.low, rate.high))
        for rate in one.rates
    ]
    names = ("rows", "in the sample", "called wrong", "unknown")
    who = listed(map(code, one.askers), none="not stated who")
    if one.people is not None:
        who = Md(f"{one.people:,} people" + (f", {one.reviews:,} reviews" if one.reviews is not None else ""))
    said = f"By {one.whose} ({who}). Their own mistakes are in the rates."
    if one.corrected:
        said += f" They put {one.corrected:,} marked answers right."
    if one.independent is False:
        said += " Among them is one that filtered the run, so it finds little wrong in what is kept."
    shares = table(("stratum", *names, "share wrong (95 %)"), rows, names)
    return {"said": Md(said), "table": shares if rows else Md("No share was estimated yet.")}


def prompt(one: Prompt) -> dict[str, Any]:
    """A prompt with its digest, and its words where they are known to be these."""
    return {
        "name": code(one.name),
        "digest": code(one.digest) if one.digest else Md("not recorded"),
        "text": block(one.text, _PROMPT) if one.text else None,
    }


def roles(found: Sequence[Role]) -> Md:
    """Models and what they did."""
    rows = []
    for one in found:
        drawn = Md("by the filter's own rule")
        if one.sampling is not None:
            drawn = Md(f"temperature {one.sampling.temperature:g}, at most {one.sampling.max_tokens:,} tokens")
        if one.asked_with:
            # Last, since it may say that something before was left out or is called otherwise.
            drawn = Md(f"{drawn}; asked with {code(json.dumps(one.asked_with))}")
        rows.append((code(one.model), code(one.name), Md(one.role), code(one.engine), drawn))
    return table(("model", "called", "what it did", "engine", "replies"), rows)


def costs(found: Sequence[Cost]) -> Md | None:
    """What asking has cost; None where there is no account."""
    rows = [
        (
            code(one.spend.step),
            code(one.spend.model),
            one.spend.replies,
            one.spend.requests,
            one.spend.tokens_in,
            one.spend.tokens_out,
            number(one.spend.seconds, 1),
            number(one.money) if one.money is not None else Md("no price given"),
        )
        for one in found
    ]
    names = ("replies", "requests", "tokens in", "tokens out", "seconds", "cost")
    return table(("step", "model", *names), rows, names) if rows else None


def versions(about: Mapping[str, Any]) -> Md:
    """Of what the run was made with."""
    found = about.get("versions")
    pairs = found.items() if isinstance(found, dict) else ()
    known = [Md(f"{code(str(name))} {code(str(version))}") for name, version in pairs if version]
    return listed(known, none="not recorded")


def citation(origins: Mapping[str, Origin]) -> dict[str, Any]:
    """BibTeX of the paper and of every source that has any, and the sources that have none."""
    entries: dict[str, Entry] = {entry.name: entry for one in origins.values() for entry in one.entries}
    texts = [citations.PAPER, *(entry.bibtex for entry in entries.values() if entry.bibtex)]
    unknown = [code(source) for source, one in origins.items() if not one.entries]
    return {"bibtex": block("\n".join(texts), 40_000, "bibtex"), "unknown": listed(unknown, none="")}
