"""Templates of cards: no value is forgotten, and no text that is not Markdown on purpose reaches a page.

`StrictUndefined` refuses what was not given; what a template prints must be `Md` or a whole number, so that text of a
run cannot get in unescaped even by a mistake in a template.
"""

from jinja2 import Environment, PackageLoader, StrictUndefined

from capcurriculum.render.markdown import Md


def _finalize(value: object) -> str:
    if isinstance(value, Md):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    raise TypeError(f"{value!r} is neither Markdown nor a number; give it to capcurriculum.render.markdown first")


def render(package: str, name: str, **values: object) -> str:
    """The template `name` of `package`, filled.

    Raises:
        jinja2.UndefinedError: it names a value that was not given.
        TypeError: a value that it prints is no Markdown.
    """
    environment = Environment(
        loader=PackageLoader(package, ""),
        undefined=StrictUndefined,
        finalize=_finalize,
        autoescape=False,  # noqa: S701 (a card is Markdown; _finalize lets nothing else pass)
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["md"] = Md  # for words of the template itself
    return environment.get_template(name).render(values)
