"""The spine that every room shares: records, recipe, run directory, answers, prompts, errors, command line."""

__version__ = "0.1.0"
