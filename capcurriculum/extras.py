"""What a plain installation leaves out: it has the grader and the command line's help, and no verb's libraries."""

from capcurriculum import __version__

#: Modules of the extra `build`. A test holds this against pyproject.toml.
MODULES = frozenset(
    {
        "PIL", "datasets", "datasketch", "duckdb", "httpx2", "huggingface_hub", "ijson", "imagehash", "matplotlib",
        "numpy", "openai", "polars", "pyarrow", "rapidfuzz", "scipy", "xxhash",
    }
)  # fmt: skip


def missing(error: BaseException) -> str:
    """The sentence for an import that failed because the extra is not installed; "" for every other error."""
    if not isinstance(error, ModuleNotFoundError) or error.name not in MODULES:
        return ""
    return (
        f"This verb needs {error.name}, and the grader is installed here alone; "
        f"pip install 'capcurriculum[build]=={__version__}' brings the rest."
    )
