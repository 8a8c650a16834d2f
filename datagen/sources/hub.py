"""Data sets of the Hub, always at the recipe's pinned commit; their code is never run.

Files are downloaded into the cache of huggingface_hub, where an interrupted download resumes. `datasets` only resolves
which of them hold the rows of a split; it does not read them, since it does not bound what that costs. Tokens stay in
the environment, where both libraries look.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from capcurriculum.errors import SourceError
from capcurriculum.recipe.sources import SourceSection
from datagen.sources.formats.record import Reading, Record
from datagen.sources.formats.records import READERS, read_files

#: The column of a row's split.
SPLIT = "(split)"


def folder(section: SourceSection, patterns: Sequence[str]) -> Path:
    """The source's folder: its `path`, or a snapshot of its `repo` that holds the files matching `patterns`.

    Raises:
        SourceError: there is no such folder, or the Hub does not give the files.
    """
    if section.path:
        path = Path(section.path)
        if not path.exists():
            raise SourceError(f"The {section.kind} source {path} is not there; check the recipe's path.")
        return path
    import huggingface_hub

    wanted = {"repo_type": "dataset", "revision": section.revision, "allow_patterns": list(patterns)}
    with _refusing(section):
        return Path(huggingface_hub.snapshot_download(section.repo, **wanted))


def rows(section: SourceSection, reading: Reading, splits: Sequence[str]) -> Iterator[Record]:
    """The rows of some splits of a data set, images as the bytes of their files.

    A file is fetched when its first row is wanted, and read as one on disk is, within the same limits. Each row gets
    its split as the column `(split)`.

    Raises:
        SourceError: the data set cannot be read, needs a script, lacks a column or a split, or has other files.
    """
    listed = _data_files(section)
    for split in splits:
        if split not in listed:
            there = ", ".join(sorted(listed)) or "none"
            raise SourceError(_refused(section, f"it has no split {split!r}, but {there}"))
        in_split = replace(reading, keys=replace(reading.keys, further={SPLIT: split}))
        for address in listed[split]:
            yield from read_files([_fetched(section, address)], in_split)


def _data_files(section: SourceSection) -> Mapping[str, Sequence[str]]:
    """Split -> the addresses of its files, as the data set's card or their names tell; no row is read."""
    import datasets

    with _refusing(section):
        builder = datasets.load_dataset_builder(section.repo, section.config or None, revision=section.revision)
    return {str(split): list(map(str, files)) for split, files in (builder.config.data_files or {}).items()}


def _fetched(section: SourceSection, address: str) -> Path:
    """The file in the Hub's cache; one of another data set or of a format that is not read is refused."""
    import huggingface_hub

    _, _, name = address.partition(f"@{section.revision}/")
    if not address.startswith("hf://datasets/") or Path(name).suffix.lower() not in READERS:
        read = f"what is read from the Hub is {', '.join(READERS)} of this commit"
        raise SourceError(_refused(section, f"its rows are in {address[:200]!r}, and {read}"))
    with _refusing(section):
        return Path(huggingface_hub.hf_hub_download(section.repo, name, repo_type="dataset", revision=section.revision))


@contextmanager
def _refusing(section: SourceSection) -> Iterator[None]:
    """Make what the Hub's libraries raise over a data set one SourceError."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        yield
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError, ValueError, RuntimeError) as error:
        raise SourceError(_refused(section, error)) from error


def _refused(section: SourceSection, error: Exception | str) -> str:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:400]
    said = reason if isinstance(error, str) else f"{type(error).__name__}: {reason[:200]}"
    return (
        f"The data set {section.repo} at {section.revision[:12]} cannot be read ({said}); "
        "check repo, revision and splits, or download it and give its path."
    )
