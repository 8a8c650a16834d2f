"""The YAML metadata of a data set card, read by the Hub, its viewer and `datasets.load_dataset`.

It contains no text of rows: names of sets come from recipes, licences from the Hub's list, the rest from the files'
schema. `huggingface_hub` and `datasets` build it and read it back, so that invalid metadata is never published.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.parquet as pq

from capcurriculum.errors import HubError
from cards import licences
from cards.dataset.rows import Split
from cards.licences import Licence
from cards.staged import Staged, StagedSet

#: (upper bound of rows, the Hub's size category); see docs/hub/datasets-cards.
SIZES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
)
LARGEST = "100M<n<1B"
TAGS = ("capcurriculum", "curriculum-learning", "grpo", "reinforcement-learning-with-verifiable-rewards")

#: Of a set with an environment; see docs/hub/datasets-environments.
ENVIRONMENT_TAGS = ("rl-environment", "verifiers")


def size_category(rows: int) -> str:
    """The Hub's size category of so many rows."""
    return next((name for below, name in SIZES if rows < below), LARGEST)


def tasks(splits: Mapping[str, Sequence[Split]]) -> list[str]:
    """The Hub's task categories, by whether rows have images."""
    rows = sum(split.rows for found in splits.values() for split in found)
    images = sum(split.images for found in splits.values() for split in found)
    found = ["visual-question-answering", "image-text-to-text"] if images else []
    return found + (["question-answering"] if images < rows else [])


def card_data(
    staged: Staged, splits: Mapping[str, Sequence[Split]], found: Sequence[Licence], languages: Sequence[str]
) -> str:
    """The YAML without its delimiters; `splits` are those of every set by name.

    Raises:
        HubError: the Hub's library or `datasets` would refuse it.
    """
    from huggingface_hub import DatasetCardData

    rows = sum(split.rows for own in splits.values() for split in own)
    infos = _infos(staged, splits)
    try:
        data = DatasetCardData(
            license=licences.metadata(found),
            language=list(languages) or None,
            task_categories=tasks(splits),
            size_categories=[size_category(rows)],
            pretty_name=staged.repo_id.rpartition("/")[2].replace("-", " "),
            tags=[*TAGS, *(ENVIRONMENT_TAGS if staged.environment else ())],
            configs=[_config(one, first=not place) for place, one in enumerate(staged.sets)],
        )
        infos.to_dataset_card_data(data)
        return checked(data.to_yaml(), staged)
    except (ValueError, TypeError, KeyError) as error:
        raise HubError(
            f"The card of {staged.repo_id} cannot be written ({error}); the staged files may be damaged."
        ) from error


def _infos(staged: Staged, splits: Mapping[str, Sequence[Split]]) -> Any:
    from datasets import DatasetInfo, SplitDict, SplitInfo
    from datasets.info import DatasetInfosDict

    infos = DatasetInfosDict()
    for one in staged.sets:
        own = splits[one.name]
        parts = {s.name: SplitInfo(name=s.name, num_bytes=s.memory, num_examples=s.rows) for s in own}
        infos[one.config] = DatasetInfo(
            features=_features(one),
            splits=SplitDict(parts),
            download_size=sum(split.disk for split in own),
            dataset_size=sum(split.memory for split in own),
        )
    return infos


def _config(one: StagedSet, first: bool) -> dict[str, Any]:
    files = [{"split": split, "path": pattern} for split, pattern in one.data_files.items()]
    return {"config_name": one.config, "data_files": files} | ({"default": True} if first else {})


def _features(one: StagedSet) -> Any:
    from datasets import Features

    path = next(path for paths in one.files.values() for path in paths)
    return Features.from_arrow_schema(pq.read_schema(path))


def checked(text: str, staged: Staged) -> str:
    """The same YAML, after the libraries have read it back; raises `ValueError` where they read something else."""
    from datasets.info import DatasetInfosDict
    from datasets.utils.metadata import MetadataConfigs
    from huggingface_hub import DatasetCard

    data = DatasetCard(f"---\n{text}\n---\n").data
    configs = [one.config for one in staged.sets]
    if list(MetadataConfigs.from_dataset_card_data(data)) != configs:
        raise ValueError("its configurations do not survive")
    data = DatasetCard(f"---\n{text}\n---\n").data  # `datasets` removes what it reads
    infos = DatasetInfosDict.from_dataset_card_data(data)
    if sorted(infos) != sorted(configs) or any(infos[one.config].features != _features(one) for one in staged.sets):
        raise ValueError("its features do not survive")
    return text
