"""What the command line says of words that it cannot take: one sentence with what was probably meant."""

from collections.abc import Sequence

from cyclopts import CycloptsError, exceptions
from cyclopts.argument import Argument

from capcurriculum.cli.app import PROGRAM, verbs
from capcurriculum.did_you_mean import meant


def sentence(error: CycloptsError) -> str:
    """What is wrong, and where the help is."""
    chain = error.command_chain or ()
    called = " ".join((PROGRAM, *chain))
    match error:
        case exceptions.UnknownCommandError(unused_tokens=[word, *_]):
            kind = "option" if word.startswith("-") else "verb"
            text = f"{called} has no {kind} {word!r}{meant(word, verbs(*chain))}"
        case exceptions.UnknownOptionError():
            word = error.token.keyword or error.token.value
            typed = next((one for one in error.root_input_tokens or () if one.startswith(word)), word)
            names = [name for argument in error.argument_collection for name in argument.names]
            text = f"{called} has no option {typed}{meant(word, names)}"
        case exceptions.UnusedCliTokensError(unused_tokens=[word, *_]):
            text = f"{word!r} is one argument too many"
        case exceptions.ConsumeMultipleError(argument=argument) if argument and error.max_allowed is not None:
            text = f"{argument.name} takes at most {error.max_allowed} value; give it after the other arguments"
        case exceptions.MissingArgumentError(argument=argument) if argument:
            given = error.keyword or next((one.keyword for one in argument.tokens if one.keyword), None)
            text = f"{given} needs a value" if given else f"{called} needs {argument.name}"
        case exceptions.CoercionError(token=token, argument=argument) if token and argument:
            text = f"{token.keyword or argument.name}: {error.msg or _unfit(token.value, argument)}"
        case _:
            text = str(error).rstrip(".")
    return f"{text}; see `{called} --help`."


def _unfit(value: str, argument: Argument) -> str:
    if choices := argument.get_choices():
        return f"{value!r} is none of {', '.join(choices)}{meant(value, choices)}"
    return f"{value!r} is not yes or no"


def no_verb(words: Sequence[str]) -> str:
    """What is wrong where a verb should follow all the words, else ""."""
    called = " ".join((PROGRAM, *words))
    known = ", ".join(verbs(*words))
    return f"{called} needs one of {known}; see `{called} --help`." if known else ""
