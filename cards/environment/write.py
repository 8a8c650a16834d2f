"""Write the package of an environment. The same data give the same bytes.

Names that come from recipes reach the code as a name of `[a-z0-9-]` alone; all else is in `data.json`, which is data.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from capcurriculum.engines import source
from capcurriculum.engines.source import Source
from capcurriculum.render.markdown import Md, code, link, listed
from capcurriculum.tables import write_atomically
from cards import templates

#: The folder of the package in a repo.
FOLDER = "environment"
README = "README.md"


@dataclass(frozen=True, slots=True)
class Names:
    """The package, which is also the id of the environment, and its module."""

    package: str

    @property
    def module(self) -> str:
        """The name to import."""
        return self.package.replace("-", "_")


def names(name: str) -> Names:
    """The names of the environment of a set; they begin with `capcurriculum-`, so no other module is shadowed."""
    word = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return Names(f"capcurriculum-{word or 'set'}")


def write(folder: Path, data: Source) -> list[Path]:
    """Write the package of `data` into `folder`; returns the paths of its files."""
    own = names(data.name)
    described = data.encoded()
    version = f"{data.capcurriculum}+{hashlib.sha256(described).hexdigest()[:12]}"
    values = {
        "id": Md(own.package),
        "module": Md(own.module),
        "version": Md(version),
        "grader": Md(data.capcurriculum),
        "places": listed(list(dict.fromkeys(_place(stage.repo) for stage in data.stages))),
        "stages": listed([code(stage.name) for stage in data.stages]),
        "stage": Md(data.stages[0].name),  # of letters that have no meaning in any of the files
    }
    server = f"resources_servers/{own.module}"
    files = {
        "pyproject.toml": "pyproject.toml",
        README: README,
        f"{own.module}/__init__.py": "__init__.py",
        f"{server}/app.py": "app.py",
        f"{server}/prepare.py": "prepare.py",
        f"{server}/requirements.txt": "requirements.txt",
        f"{server}/configs/{own.module}.yaml": "config.yaml",
    }
    made = {
        name: templates.render(__package__, f"{template}.jinja", **values).encode() for name, template in files.items()
    }
    made[f"{own.module}/{source.NAME}"] = described
    for name, content in made.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    return [folder / name for name in made]


def _place(repo: str) -> Md:
    return link(repo, f"https://huggingface.co/datasets/{repo}") if repo else Md("a run on this machine")
