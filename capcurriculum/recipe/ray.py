"""The Ray part of a recipe: how many workers `build --ray` starts for a model, and what each of them gets.

Nothing here can change a result, so a resumed run may change all of it.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from capcurriculum.recipe.models import ModelSection


class RayWorkers(BaseModel):
    """How many `workers` run a model, and the `gpus` and `cpus` of each.

    Left out, `gpus` is what the engine uses: vllm its tensor_parallel_size, transformers one, each only where the
    cluster has any, openai none. `workers` is as many as the cluster has room for, and one for an openai engine, whose
    endpoints do the work: each worker keeps the model's whole `concurrency` in flight.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    workers: PositiveInt | None = None
    gpus: Annotated[float, Field(ge=0)] | None = None
    cpus: PositiveInt | None = None


class RaySection(RayWorkers):
    """What holds for every model, and in `models`, by its name in the recipe, what is different for one.

    `block` is how many captions or questions a worker is given at once. It works on two blocks, so that its engine
    never runs empty while others have work; a block's replies should be no fewer than the engine handles together.
    """

    block: PositiveInt = 256
    models: dict[str, RayWorkers] = {}

    def workers_for(self, name: str, model: ModelSection, gpus_there: bool) -> RayWorkers:
        """What the model's workers get, only their number left open; `gpus_there`: the cluster has some."""
        own = self.models.get(name, RayWorkers())
        workers = own.workers or self.workers or (1 if model.engine == "openai" else None)
        gpus = next((g for g in (own.gpus, self.gpus) if g is not None), None)
        if gpus is None:
            used = {"vllm": model.vllm.tensor_parallel_size, "transformers": 1, "openai": 0}[model.engine]
            gpus = used if gpus_there else 0
        return RayWorkers(workers=workers, gpus=gpus, cpus=own.cpus or self.cpus or 1)
