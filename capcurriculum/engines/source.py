"""Where the rows of an environment are: stages in curriculum order, each on the Hub at one commit or in a folder."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from capcurriculum.did_you_mean import meant
from capcurriculum.errors import SourceError

#: The file of an environment that describes its data.
NAME = "data.json"
Split = Literal["train", "val", "test"]


class StageFiles(BaseModel):
    """The Parquet files of a stage: split -> names, in a repo at a revision, or else below a local folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$")]
    files: dict[Split, tuple[str, ...]]
    repo: str = ""
    revision: str = ""
    folder: str = ""

    @model_validator(mode="after")
    def _one_place(self) -> "StageFiles":
        if bool(self.repo) == bool(self.folder) or bool(self.repo) != bool(self.revision):
            raise ValueError("a stage has a repo with its revision, or a folder")
        return self


class Source(BaseModel):
    """The stages of an environment in the order of training, and the version whose grader scores them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    name: str
    capcurriculum: str
    stages: Annotated[tuple[StageFiles, ...], Field(min_length=1)]

    def encoded(self) -> bytes:
        """The content of a `data.json`; the same for the same data."""
        told = {"format": self.format} | self.model_dump(mode="json", exclude_defaults=True)
        return (json.dumps(told, indent=1, ensure_ascii=False) + "\n").encode()


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows of a source: stages by name (none: all), one split, and other places than those of the source.

    `revision` is a tag, branch or commit for all repos; `folder` has the files as `<folder>/<stage>/<split>-*.parquet`,
    as the `stages` of a run do.
    """

    stages: Sequence[str] = ()
    split: Split = "train"
    revision: str = ""
    folder: Path | None = None


def read(path: Path) -> Source:
    """The description in a file `data.json`.

    Raises:
        SourceError: it cannot be read, or is not of this version's format.
    """
    try:
        return Source.model_validate_json(path.read_bytes())
    except OSError as error:
        raise SourceError(f"{path} cannot be read ({error.strerror}); write the environment again.") from error
    except ValidationError as error:
        raise SourceError(f"{path} is no description of this version's; write the environment again.") from error


def files(source: Source, wanted: Selection) -> list[tuple[str, Path]]:
    """(stage, Parquet file) of a selection in curriculum order; files of the Hub are downloaded into its cache.

    Raises:
        SourceError: a stage is unknown, the selection has no files, or one cannot be downloaded.
    """
    known = [stage.name for stage in source.stages]
    if odd := [name for name in wanted.stages if name not in known]:
        raise SourceError(f"There is no stage {odd[0]}{meant(odd[0], known)}; the stages are {', '.join(known)}.")
    chosen = [stage for stage in source.stages if not wanted.stages or stage.name in wanted.stages]
    found = [(stage.name, path) for stage in chosen for path in _files(stage, wanted)]
    if not found:
        where = wanted.folder or "the data"
        raise SourceError(
            f"{where} has no {wanted.split} files of {', '.join(s.name for s in chosen)}; choose another."
        )
    return found


def _files(stage: StageFiles, wanted: Selection) -> list[Path]:
    if wanted.folder is not None:
        return sorted((wanted.folder / stage.name).glob(f"{wanted.split}-*.parquet"))
    names = stage.files.get(wanted.split, ())
    if stage.folder:
        return [Path(stage.folder) / name for name in names]
    return [_downloaded(stage.repo, name, wanted.revision or stage.revision) for name in names]


def _downloaded(repo: str, name: str, revision: str) -> Path:
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError as error:
        raise SourceError(f"Sets are downloaded by {error.name}; install capcurriculum[environment].") from error
    try:
        return Path(hf_hub_download(repo, name, repo_type="dataset", revision=revision))
    except (HfHubHTTPError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SourceError(
            f"{name} of {repo} at {revision} cannot be downloaded ({reason}); check the revision and the network, and "
            "log in with `hf auth login` if the set is private."
        ) from error
