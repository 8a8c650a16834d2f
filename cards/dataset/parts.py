"""The parts of a data set card as Markdown, with untrusted texts in code spans and blocks."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.parquet as pq

from capcurriculum.ledger import cost_sheet
from capcurriculum.ledger.funnel import FunnelLine
from capcurriculum.ledger.kept_cost import StageCost
from capcurriculum.recipe import Recipe
from capcurriculum.render.markdown import Cell, Md, block, code, link, listed, number, percent, table
from cards import citations
from cards.citations import Entry, Origin
from cards.dataset.columns import COLUMNS
from cards.dataset.example import Example
from cards.dataset.provenance import Cost, Prompt, Role
from cards.dataset.rows import Keys, PassRates, SourceCount, Split
from cards.estimates import Estimate
from cards.licences import UNKNOWN, Licence
from cards.staged import Staged

_PROMPT = 6_000
#: The most configurations named beside the first in the code that loads a set.
_CONFIGS = 5
_STAGES: Mapping[str, str] = {
    "perception": "four-option questions about details of an image, written by a teacher model from the caption. Kept "
    "are those that solvers answer from the caption and not from the image, so they train perception.",
    "text": "text problems with an answer that a program can grade. Without an image, they train reasoning alone.",
    "visual": "problems about an image that require reasoning. They train perception and reasoning together.",
}


def stage(name: str, recipe: Recipe) -> Md:
    """The description of a stage; a custom capability of the recipe is of the kind of a built-in stage."""
    try:
        kind = str(recipe.kind(name))
    except (KeyError, ValueError):
        kind = name  # the recipe may lack a stage of a downloaded set
    text = _STAGES.get(kind, "rows of a capability that the recipe defines.")
    custom = "" if kind == name or kind not in _STAGES else f"a custom capability, made like {code(kind)}: "
    return Md(f"{code(name)}: {custom}{text}")


def repo(name: str) -> Md:
    """A link to a data set on the Hub; code for an invalid name."""
    try:
        return link(name, f"https://huggingface.co/datasets/{name}")
    except ValueError:
        return code(name)


def title(name: str) -> Md:
    """The name of a repo as a heading; code unless it is plain."""
    return Md(name) if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*", name) else code(name)


def splits(staged: Staged, found: Mapping[str, Sequence[Split]]) -> Md:
    """The table of sets and splits."""
    lines = [
        (code(one.name), code(split.name), split.rows, split.images, number(split.pass_rate, 3))
        for one in staged.sets
        for split in found[one.name]
    ]
    names = ("rows", "with an image", "mean pass rate")
    return table(("set", "split", *names), lines, names)


def load(staged: Staged) -> Md:
    """The code that loads the set with `datasets` alone: every split, one split, rows as they are read, a revision."""
    first, *others = staged.sets
    *_, (split, pattern) = first.data_files.items()
    config, what = "", "every split"
    if others:
        rest = ", ".join([f'"{one.config}"' for one in others[:_CONFIGS]] + ["..."] * (len(others) > _CONFIGS))
        config, what = f', "{first.config}"', f"every split of one set; the others: {rest}"
    text = f"""from datasets import load_dataset

repo = "{staged.repo_id}"
rows = load_dataset(repo{config})  # {what}
print(rows["{split}"][0]["problem"], rows["{split}"][0]["images"], rows["{split}"][0]["answer"])

# One split; no other is downloaded.
one_split = load_dataset(repo, data_files={{"{split}": "{pattern}"}}, split="{split}")

# Rows as they are read; nothing is stored.
stream = load_dataset(repo{config}, split="{split}", streaming=True)

# A revision: a tag, a branch or a commit.
pinned = load_dataset(repo{config}, revision="main")"""
    return block(text, language="python")


def environment(staged: Staged) -> Md:
    """The commands that download, install, validate and evaluate the set's environment."""
    package = staged.environment
    text = f"""hf download {staged.repo_id} --repo-type dataset --include "environment/*" --local-dir .
pip install "./environment[verifiers]"
vf-validate {package} --runtime.type subprocess  # asks no model: every gold answer scores 1.0
vf-eval {package} -m MODEL --client.base-url http://localhost:8000/v1 --no-push"""
    return block(text, language="sh")


def columns(staged: Staged) -> Md:
    """The table of columns."""
    path = next(path for paths in staged.sets[0].files.values() for path in paths)
    return table(("column", "description"), ((code(n), COLUMNS.get(n, Md(""))) for n in pq.read_schema(path).names))


def example(one: Example, folder: str) -> dict[str, Any]:
    """The values of an example for the template; its image lies in `folder`."""
    row = one.row
    options = "\n".join(f"{chr(65 + place)}: {text}" for place, text in enumerate(row.get("options") or ()))
    problem = str(row.get("problem") or "").removeprefix("<image>")
    return {
        "set": code(one.set),
        "split": code(one.split),
        "image": Md(f"![The image of the example]({folder}/{one.image})") if one.image else None,
        "scale": Md(f", its image enlarged {one.enlarged} times" if one.enlarged > 1 else ""),
        "problem": block(problem),
        "options": block(options) if options and options not in problem else None,
        "answer": code(str(row.get("answer") or "")),
        "pass": Md(f"{row.get('pass_k')} of {row.get('pass_n')}"),
        "source": code(str(row.get("source") or "")),
        "license": code(str(row.get("license") or "")),
        "skill": code(str(row.get("skill") or "")),
    }


def funnel(lines: Sequence[FunnelLine]) -> Md | None:
    """The table of filters, with rows met, kept and dropped by reason; None without verdicts."""
    rows: list[list[Cell]] = []
    for line in lines:
        reasons = sorted(line.dropped.items(), key=lambda item: (-item[1], item[0]))
        dropped = listed((Md(f"{code(why)} {count:,}") for why, count in reasons), none="")
        share = percent(line.kept / line.met if line.met else None)
        rows.append([code(line.stage), code(line.filter), line.met, line.kept, share, dropped])
    names = ("rows", "kept", "share")
    return table(("stage", "filter", *names, "dropped because"), rows, names) if rows else None


def sources(counted: Sequence[SourceCount], origins: Mapping[str, Origin]) -> Md:
    """The table of sources and licences."""
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
    """The licences with their requirements, the strictest first."""
    if not found:
        return Md("There are no rows, and so no licences.")
    first, *others = found
    if not others:
        subject = "The licence of the rows" if first.hub == UNKNOWN else f"All rows are under {code(first.name)}, which"
        return Md(f"{subject} {first.asks}.")
    lines = [
        f"**The rows are under several licences, and each row keeps its own (column `license`).** The strictest is "
        f"{code(first.name or 'unknown')} ({first.rows:,} rows), which {first.asks}. Use of the whole set has to meet "
        "the terms of every one:",
        "",
        *(f"- {code(one.name or 'unknown')}, {one.rows:,} rows: {one.asks}." for one in found),
    ]
    return Md("\n".join(lines))


def evidence(origins: Mapping[str, Origin]) -> list[Md]:
    """The evidence for the licence of each source."""
    found = []
    for source, one in origins.items():
        if not one.entries:
            found.append(Md(f"{code(source)}: as stated by the recipe or the data; nothing else is known."))
        for entry in one.entries:
            name = link(entry.name, entry.url) if entry.url else Md(entry.name)
            found.append(Md(f"{code(source)} ({name}): {entry.license}, from {entry.evidence}."))
    return found


def keys(found: Sequence[Keys]) -> list[Md]:
    """One sentence for each stage on its answer letters."""
    sentences = []
    for one in found:
        counts = ", ".join(f"{letter} {count:,}" for letter, count in one.counts.items())
        test = f"chi-square {one.chi_square:.2f} with {len(one.counts) - 1} degrees of freedom, "
        test += "too few rows for a p-value" if one.p is None else f"p = {one.p:.3g}"
        sentences.append(Md(f"{code(one.stage)}: {counts} ({test})"))
    return sentences


def pass_rates(found: Sequence[PassRates]) -> Md | None:
    """The table of pass rates; None if there are none."""
    rows = []
    for one in found:
        low, *between, high = one.counts
        replies = f"{one.n[0]}" if one.n[0] == one.n[1] else f"{one.n[0]} to {one.n[1]}"
        counts = (sum(one.counts), Md(replies), low, sum(between), high)
        rows.append((code(one.stage), *counts, number(one.width), one.partial))
    names = ("rows", "replies a row", "nearest to 0", "between", "nearest to 1", "mean interval width", "stopped early")
    return table(("stage", *names), rows, names) if rows else None


def estimate(one: Estimate) -> dict[str, Md]:
    """The raters of one estimate, and the table of its shares of wrong labels."""
    rows = [
        (code(rate.stratum), rate.rows, rate.asked, rate.wrong, rate.unknown,
         Md(f"{percent(rate.share)} ({rate.low:.1%} to {rate.high:.1%})"))
        for rate in one.rates
    ]  # fmt: skip
    names = ("rows", "in the sample", "called wrong", "unknown")
    who = listed(map(code, one.askers), none="raters not stated")
    if one.people is not None:
        who = Md(f"{one.people:,} people" + (f", {one.reviews:,} reviews" if one.reviews is not None else ""))
    text = f"By {one.whose} ({who}). The rates include their mistakes."
    if one.corrected_keys:
        text += f" They corrected {one.corrected_keys:,} gold answers."
    if one.independent is False:
        text += " One of them filtered the run and is biased towards the kept rows."
    shares = table(("stratum", *names, "share wrong (95 %)"), rows, names)
    return {"text": Md(text), "table": shares if rows else Md("No share was estimated yet.")}


def certificates(found: Sequence[Estimate], rows: Mapping[str, int]) -> list[Md]:
    """The upper bound of wrong labels of each stage (with its `rows` in the set), and of all together.

    A stage of which people reviewed no row says so: no model's opinions bound its share.
    """
    known = {one.stages: one for estimate in found for one in estimate.certificates}
    together = tuple(sorted(rows))
    said = []
    for group in [(stage,) for stage in rows] + [together] * (len(rows) > 1 and together in known):
        names = listed(map(code, group))
        if (one := known.get(group)) and one.reviewed:
            one = one.over(sum(rows[stage] for stage in group))
            said.append(Md(f"{names}: {' '.join(one.sentences())}"))
        else:
            said.append(Md(f"{names}: no upper bound is known, since people reviewed none of its rows."))
    return said


def prompt(one: Prompt) -> dict[str, Any]:
    """A prompt with its digest, and its text if known."""
    return {
        "name": code(one.name),
        "digest": code(one.digest) if one.digest else Md("not recorded"),
        "text": block(one.text, _PROMPT) if one.text else None,
    }


def roles(found: Sequence[Role]) -> Md:
    """The table of models and their roles."""
    rows = []
    for one in found:
        drawn = Md("as the filter defines")
        if one.sampling is not None:
            drawn = Md(f"temperature {one.sampling.temperature:g}, at most {one.sampling.max_tokens:,} tokens")
        if one.asked_with:
            # Last, since it may override or rename the settings before it.
            drawn = Md(f"{drawn}; asked with {code(json.dumps(one.asked_with))}")
        rows.append((code(one.model), code(one.name), Md(one.role), code(one.engine), drawn))
    return table(("model", "called", "role", "engine", "replies"), rows)


def costs(found: Sequence[Cost]) -> Md | None:
    """The table of costs; None without any."""
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


def kept_costs(found: Sequence[StageCost]) -> dict[str, Md] | None:
    """What a kept row cost, in sentences and by where the other rows ended; None where no model was asked."""
    if not found:
        return None
    said = [Md(f"- {code(one.stage)}: {one.sentence()}") for one in found if one.sentence()]
    if left_out := cost_sheet.unpriced(found):
        said.append(
            Md(f"- The cost is that of the models with prices; without are {listed(list(map(code, left_out)))}.")
        )
    return {"sentences": Md("\n".join(said)), "table": cost_sheet.sheet(found).markdown()}


def versions(about: Mapping[str, Any]) -> Md:
    """The library versions of the run."""
    found = about.get("versions")
    pairs = found.items() if isinstance(found, dict) else ()
    known = [Md(f"{code(str(name))} {code(str(version))}") for name, version in pairs if version]
    return listed(known, none="not recorded")


def citation(origins: Mapping[str, Origin]) -> dict[str, Any]:
    """BibTeX of the paper and the sources, and the sources without an entry."""
    entries: dict[str, Entry] = {entry.name: entry for one in origins.values() for entry in one.entries}
    texts = [citations.PAPER, *(entry.bibtex for entry in entries.values() if entry.bibtex)]
    unknown = [code(source) for source, one in origins.items() if not one.entries]
    return {"bibtex": block("\n".join(texts), 40_000, "bibtex"), "unknown": listed(unknown, none="")}
