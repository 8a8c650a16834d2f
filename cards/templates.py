"""Templates of cards, which print nothing but `Md` and whole numbers.

So untrusted text cannot reach a card unescaped even by a mistake in a template; missing values are errors.
"""

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from capcurriculum.render.markdown import Md
from capcurriculum.tables import write_atomically


def _finalize(value: object) -> str:
    if isinstance(value, Md):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    raise TypeError(f"{value!r} is neither Markdown nor a number; give it to capcurriculum.render.markdown first")


def render(package: str, name: str, **values: object) -> str:
    """Render the template `name` of `package`.

    Raises:
        jinja2.UndefinedError: a value of the template is missing.
        TypeError: a printed value is neither Markdown nor a whole number.
    """
    environment = Environment(
        loader=PackageLoader(package, ""),
        undefined=StrictUndefined,
        finalize=_finalize,
        autoescape=False,  # noqa: S701 (a card is Markdown, which _finalize enforces)
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["md"] = Md  # for literals of the template
    return environment.get_template(name).render(values)


def write_card(folder: Path, package: str, metadata: str, **values: object) -> Path:
    """Write `README.md` from the template of `package` and YAML `metadata`; returns its path and raises as `render`."""
    body = render(package, "README.md.jinja", **values).strip()
    write_atomically(folder / "README.md", f"---\n{metadata}\n---\n\n{body}\n".encode())
    return folder / "README.md"
