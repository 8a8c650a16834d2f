"""A Slurm script that trains a recipe: on one node directly, on several with a Ray cluster that the job starts.

The job runs the same command that a user would, so a requeued or resubmitted job resumes. It gets SIGTERM before its
time is up and then leaves a resumable state. The script contains nothing of the caller's environment, hence no token;
it marks where users load modules and environments.
"""

import shlex
import sys
from pathlib import Path

from capcurriculum.errors import TrainerError
from capcurriculum.recipe.training import TrainingRecipe
from capcurriculum.tables import write_atomically
from training.on_verl import environment

#: Seconds between SIGTERM and the time limit: enough to save a large model and end its processes.
_WARNING = 300


def script(recipe: TrainingRecipe, name: str, gpus: int, python: str, words: list[str], folder: Path) -> str:
    """The text of the script.

    Args:
        recipe: the training section, with the number of nodes and the Slurm options.
        name: of the job.
        gpus: per node.
        python: the trainer's interpreter.
        words: the arguments of `capcurriculum`: `train RECIPE ...`.
        folder: the working directory.
    """
    command = shlex.join([sys.executable, "-m", "capcurriculum.cli", *words])
    lines = ["#!/bin/bash", *_directives(recipe, name, gpus), "set -euo pipefail", ""]
    lines += [
        "# Load modules and set what your site needs here; keep tokens in your own environment, not in this file.",
        f"cd {shlex.quote(str(folder))}",
    ]
    if recipe.nodes == 1:
        return "\n".join([*lines, f"exec {command}", ""])
    exports = [f"export {key}={shlex.quote(value)}" for key, value in environment.SHARED.items()]
    exports += [f"export PYTHONPATH={shlex.quote(environment.path())}${{PYTHONPATH:+:$PYTHONPATH}}"]
    return "\n".join([*lines, "", *exports, "", _cluster(python, recipe.nodes, gpus), _RUN.replace("COMMAND", command)])


def write(path: Path, text: str) -> None:
    """Write the script.

    Raises:
        TrainerError: a file with other content is there.
    """
    if path.exists() and path.read_text(encoding="utf-8", errors="replace") != text:
        raise TrainerError(f"{path} exists and says something else; remove it or name another file.")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())


def _directives(recipe: TrainingRecipe, name: str, gpus: int) -> list[str]:
    slurm = recipe.slurm
    options = {
        "job-name": name,
        "nodes": recipe.nodes,
        "ntasks-per-node": 1,
        "gpus-per-node": gpus,
        "partition": slurm.partition,
        "account": slurm.account,
        "qos": slurm.qos,
        "time": slurm.time,
        "cpus-per-task": slurm.cpus,
        "mem": slurm.memory,
        "signal": f"B:TERM@{_WARNING}",
        "output": "slurm-%x-%j.log",
        "open-mode": "append",
    }
    return [*(f"#SBATCH --{key}={value}" for key, value in options.items() if value is not None), "#SBATCH --requeue"]


def _cluster(python: str, nodes: int, gpus: int) -> str:
    return f"""ray=({shlex.quote(python)} -m ray.scripts.scripts)
mapfile -t hosts < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head="${{hosts[0]}}"
at="$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | awk '{{print $1}}')"
port=$((20000 + SLURM_JOB_ID % 10000))
on() {{ exec srun --overlap --nodes=1 --ntasks=1 --nodelist="$1" "${{@:2}}"; }}  # in the background only

on "$head" "${{ray[@]}}" start --head --node-ip-address="$at" --port="$port" --num-gpus={gpus} --block &
for host in "${{hosts[@]:1}}"; do
  on "$host" "${{ray[@]}}" start --address="$at:$port" --num-gpus={gpus} --block &
done
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
{shlex.quote(python)} - "$at:$port" {nodes} <<'END'
import sys, time, ray
deadline = time.monotonic() + 600
while True:
    try:
        ray.init(address=sys.argv[1], log_to_driver=False, ignore_reinit_error=True)
        if sum(node["Alive"] for node in ray.nodes()) >= int(sys.argv[2]):
            break
    except ConnectionError:
        pass
    if time.monotonic() > deadline:
        sys.exit("The Ray cluster did not come up within ten minutes.")
    time.sleep(5)
END
"""


_RUN = """COMMAND --ray "$at:$port" &
training=$!
trap 'kill -TERM "$training"' TERM
while kill -0 "$training" 2>/dev/null; do wait "$training" && code=0 || code=$?; done
exit "${code:-1}"
"""
