"""The files EasyR1 needs for a chain: one configuration per stage, the prompt template, and one script.

The script runs in a checkout of the pinned commit with this package installed. Between stages it merges the shards that
EasyR1 saves into loadable weights, which the release's quick start omits.
"""

import glob
import shlex
from pathlib import Path
from typing import Any

import yaml

from capcurriculum import prompts
from capcurriculum.errors import TrainerError
from capcurriculum.tables import write_atomically
from training.easyr1 import COMMIT
from training.easyr1.config import check, config
from training.stages import Links

TEMPLATE = "format_prompt.jinja"
SCRIPT = "run.sh"


def files(links: Links) -> dict[str, str]:
    """File name -> text, in order of use.

    Raises:
        TrainerError: EasyR1 cannot train a stage as the recipe says.
    """
    folder = links.folder / "easyr1"
    model = str(links.settings.model or links.base.model)
    made = {TEMPLATE: f"{{% raw %}}{prompts.system()}{{% endraw %}}\n\n{{{{ content | trim }}}}\n"}
    script = [_HEAD]
    for link, stage in zip(links.links, links.stages, strict=True):
        check(link.knobs, link.run)
        target = folder / stage.stage
        keys = config(links.settings, links.base, stage.stage, link.knobs, _folder(link.files.train), model, target)
        file = folder / f"{stage.stage}.yaml"
        made[file.name] = _yaml(keys, file)
        actor = target / f"global_step_{stage.total_steps}" / "actor"
        script += [f"# {stage.stage}: {stage.total_steps} steps"]
        script += [f"python3 -m verl.trainer.main config={shlex.quote(str(file))}"]
        script += [f"python3 scripts/model_merger.py --local_dir {shlex.quote(str(actor))}", ""]
        model = str(actor / "huggingface")
    return made | {SCRIPT: "\n".join(script)}


def write(links: Links) -> Path:
    """Write the files; returns their folder."""
    folder = links.folder / "easyr1"
    made = files(links)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in made.items():
        write_atomically(folder / name, text.encode())
    return folder


_HEAD = f"""#!/bin/bash
# Run this in a checkout of https://github.com/hiyouga/EasyR1 at commit {COMMIT}, in whose environment capcurriculum is
# installed too (its reward is used). A stage that was stopped goes on from its last checkpoint.
set -euo pipefail
"""


def _folder(paths: tuple[Path, ...]) -> Path:
    folders = {path.parent for path in paths}
    if len(folders) > 1:
        raise TrainerError(
            "EasyR1 reads one folder a stage, and this order has one for each epoch; leave out its epochs."
        )
    folder = folders.pop()
    if "@" in str(folder):
        raise TrainerError(f"EasyR1 takes what follows an @ for a split; move the run {folder} to a path without one.")
    # It checks that the folder exists and passes it to `datasets`, which resolves links and expands patterns: for the
    # run `a[1]` it would silently train on the rows of `a1`. So neither escaping nor a link helps.
    if any(glob.has_magic(path) or "::" in path for path in (str(folder), str(folder.resolve()))):
        raise TrainerError(
            f"EasyR1 takes *, ?, [ and :: in a path for a pattern of other files; move the run {folder} to a path "
            "without them."
        )
    return folder


def _yaml(keys: dict[str, Any], file: Path) -> str:
    """The text of a configuration file.

    Raises:
        TrainerError: EasyR1 would read a path in it, or the file's own on the command line, as something else.
    """
    text = yaml.safe_dump(keys, sort_keys=False)
    try:
        plain = yaml.safe_load(str(file)) == str(file)  # as OmegaConf parses a command-line argument
    except yaml.YAMLError:
        plain = False
    if not plain or "${" in text + str(file):
        raise TrainerError(
            f"EasyR1 would not read {file} as it is written, since ${{, a tab, or a colon or # beside a blank mean "
            "something in its settings; move the run and the model to paths without them."
        )
    return text
