"""Prompts of a recipe's author: Jinja templates of which only what fills in values is let through.

A recipe may be somebody else's, so a template is data: it may name the values that it is given, choose and repeat by
them, and pass them through a few filters. It can call nothing, and cannot grow beyond what it is given.
"""

import hashlib
from collections.abc import Collection, Iterable
from functools import cache

from jinja2 import Environment, StrictUndefined, Template, TemplateError, meta, nodes

#: Characters of a template.
MOST = 20_000
#: The one value that is a list: earlier questions about the image.
_LIST = "asked"
_FILTERS = frozenset({"trim", "upper", "lower", "capitalize", "join", "length", "first", "last"})
_NODES = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.If, nodes.For, nodes.Filter,
    nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not,
)  # fmt: skip
# No autoescape: prompts are text for a model, not HTML.
_ENVIRONMENT = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)  # noqa: S701


def check(text: str, given: Collection[str], needed: Iterable[str]) -> None:
    """Check a template that may use the values `given` and must use those `needed`.

    Raises:
        ValueError: it is too long, no template, uses anything else, or leaves out what is needed.
    """
    if len(text) > MOST:
        raise ValueError(f"a prompt has at most {MOST:,} characters, and this one {len(text):,}")
    try:
        tree = _ENVIRONMENT.parse(text)
    except TemplateError as error:
        raise ValueError(f"the prompt is no template ({' '.join(str(error).split())})") from error
    for node in tree.find_all(nodes.Node):
        if not isinstance(node, _NODES) or (isinstance(node, nodes.Filter) and node.name not in _FILTERS):
            what = f"the filter {node.name}" if isinstance(node, nodes.Filter) else type(node).__name__
            raise ValueError(
                f"a prompt fills in {{{{ values }}}}, chooses with if and repeats with for; {what} is not known in it"
            )
        if isinstance(node, nodes.For) and not _is_plain(node):
            raise ValueError(f"for goes over {_LIST} in a prompt, over nothing else, and not inside another for")
    used = meta.find_undeclared_variables(tree)
    if unknown := sorted(used - set(given)):
        raise ValueError(f"the prompt uses {', '.join(unknown)}; it is given {', '.join(given)}")
    if missing := [name for name in needed if name not in used]:
        raise ValueError(f"the prompt never uses {', '.join(f'{{{{ {name} }}}}' for name in missing)}")


def _is_plain(loop: nodes.For) -> bool:
    """Whether a loop repeats a short list once: one over a caption inside another would take hours."""
    over_list = isinstance(loop.iter, nodes.Name) and loop.iter.name == _LIST
    return over_list and not loop.recursive and next(iter(loop.find_all(nodes.For)), None) is None


@cache
def _template(text: str) -> Template:
    return _ENVIRONMENT.from_string(text)


def render(text: str, **values: object) -> str:
    """Fill a template that was checked."""
    return _template(text).render(**values)


def digest(text: str) -> str:
    """First 16 hex digits of the sha256 of a template, as `capcurriculum.prompts.digest` has it of ours."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
