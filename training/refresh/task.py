"""What one refresh needs to know: the stage's rows, the checkpoint that answers them, and how it is asked.

It is asked as the stage's own rollouts will be: with the stage's temperature, top_p and room for a reply, its limits on
pictures, and the arguments of the backbone's chat template. A pass rate at another temperature would not tell whether
the rollouts of a row will differ.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from capcurriculum import prompts
from capcurriculum.recipe import Recipe
from capcurriculum.recipe.models import ModelSection, VLLMSection
from capcurriculum.recipe.rollouts import RolloutSection
from capcurriculum.recipe.training import RefreshSection
from capcurriculum.rows import Sampling, digest
from capcurriculum.run import Run
from training.knobs import Backbone, Knobs
from training.stage_files import StageFiles

#: A pass rate is looked at after so many replies, and whether the others are needed.
_CHUNK = 4


@dataclass(frozen=True, slots=True)
class Task:
    """The refresh of one stage.

    `name` is what the checkpoint is called in tables and sentences. `workers` processes of `python` ask it, with the
    variables `environment`. `batch` is the stage's batch size in rows, `folder` where the files go.
    """

    stage: str
    run: Run
    recipe: Recipe
    files: StageFiles
    folder: Path
    section: RefreshSection
    checkpoint: Path
    name: str
    model: ModelSection
    sampling: Sampling
    batch: int
    workers: int
    python: str
    environment: Mapping[str, str]

    def solver(self, checkpoint_digest: str) -> str:
        """The name under which the answers stand: `name@<digest of the checkpoint>-<how it was asked>`."""
        limits = (self.model.min_pixels, self.model.max_pixels, self.model.pixel_multiple)
        asked = digest("refresh", self.sampling.json(), self.model.asked_with, limits, prompts.system())
        return f"{self.name}@{checkpoint_digest}-{asked[:8]}"

    @property
    def rollouts(self) -> RolloutSection:
        """The band and the number of replies, as pass rates are measured by.

        A row is asked on only as long as that can change whether it stays, or its place.
        """
        section, build = self.section, self.recipe.rollouts
        stop = "decided" if section.order == "as_built" else "dropped"
        return build.model_copy(
            update={
                "k": section.k,
                "above": section.above,
                "below": section.below,
                "stop": stop,
                "chunk": min(_CHUNK, section.k),
                "interval": None,
            }
        )

    @property
    def bound(self) -> dict[str, object]:
        """What of the recipe's section decides which rows are left, and in which order."""
        return bound(self.section)


def bound(section: RefreshSection) -> dict[str, object]:
    """The section without the names of its stages."""
    return section.model_dump(mode="json", exclude={"stages"})


def model(recipe: Recipe, base: Backbone, knobs: Knobs, device: str, checkpoint: Path) -> ModelSection:
    """How the checkpoint is run: by vLLM on GPUs, else by the engine of the recipe's rollouts.

    An endpoint cannot be told to serve the checkpoint, so `transformers` takes its place on a CPU.
    """
    own = recipe.models[recipe.rollouts.model]
    engine = "vllm" if device == "cuda" else "transformers" if own.engine == "openai" else own.engine
    length = knobs.max_prompt_tokens + knobs.max_response_tokens
    return ModelSection(
        engine=engine,
        model=str(checkpoint),
        batch_size=own.batch_size,
        min_pixels=knobs.min_pixels,
        max_pixels=knobs.max_pixels,
        pixel_multiple=2 * base.image_patch_size,
        chat_template_kwargs=dict(base.template),
        vllm=VLLMSection(tensor_parallel_size=knobs.tensor_parallel, max_model_len=length, dtype=base.dtype),
    )


def sampling(knobs: Knobs) -> Sampling:
    """How a stage's rollouts are drawn."""
    return Sampling(knobs.temperature, knobs.top_p, 0, knobs.max_response_tokens)
