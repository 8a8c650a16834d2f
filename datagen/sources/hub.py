"""Data sets of the Hub, always at the pinned commit of the recipe, and never with their code.

Files come through huggingface_hub into its cache, where an interrupted download goes on; rows of any data set that
`datasets` can read without a script come as a stream. Tokens stay in the environment, where both libraries look.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from capcurriculum.errors import SourceError
from capcurriculum.recipe_sources import SourceSection
from datagen.sources.record import Keys, Record
from datagen.sources.records import require


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
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            huggingface_hub.snapshot_download(
                section.repo, repo_type="dataset", revision=section.revision, allow_patterns=list(patterns)
            )
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise SourceError(_refused(section, error)) from error


def rows(section: SourceSection, keys: Keys, needed: Sequence[str], splits: Sequence[str]) -> Iterator[Record]:
    """The rows of some splits of a data set, images as the bytes of their files.

    Each row gets its split as the column `(split)`.

    Raises:
        SourceError: the data set cannot be read, needs a script, or lacks a column or a split.
    """
    import datasets
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    number = 0
    for split in splits:
        try:
            stream = datasets.load_dataset(
                section.repo, section.config or None, split=split, revision=section.revision or None, streaming=True
            )
            for name, feature in (stream.features or {}).items():
                if isinstance(feature, datasets.Image):
                    stream = stream.cast_column(name, datasets.Image(decode=False))
            if stream.features:
                require(needed, [dict.fromkeys(stream.features)], f"The data set {section.repo}")
            for values in stream:
                number += 1
                yield keys.record(number, values | {"(split)": split})
        except (HfHubHTTPError, HFValidationError, OSError, ValueError, RuntimeError) as error:
            raise SourceError(_refused(section, error)) from error


def _refused(section: SourceSection, error: Exception) -> str:
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    return (
        f"The data set {section.repo} at {section.revision[:12]} cannot be read ({type(error).__name__}: {reason}); "
        "check repo, revision and splits, or download it and give its path."
    )
