"""One exception type per boundary.

Each carries one clear sentence that says what to mend. The command line prints that sentence and exits with code 2,
so a user never sees a traceback for something they can put right.
"""


class CapCurriculumError(Exception):
    """A failure the user can mend; its text is a whole sentence with the mend in it."""


class RecipeError(CapCurriculumError):
    """The recipe file is missing, malformed, or differs from the run's own."""


class SourceError(CapCurriculumError):
    """A source as a whole cannot be read (a single bad row becomes a verdict instead)."""


class EngineError(CapCurriculumError):
    """A model cannot be loaded or an endpoint cannot be used."""


class ParseError(CapCurriculumError):
    """A model's text does not hold what was asked for."""


class RunError(CapCurriculumError):
    """A run directory is missing, locked or damaged."""


class HubError(CapCurriculumError):
    """The Hub refused, or what came back differs from what was sent."""


class ReviewError(CapCurriculumError):
    """The review server or a review file cannot be used."""


class TrainerError(CapCurriculumError):
    """A training plan may not start, or the trainer died or stalled."""


class EvaluationError(CapCurriculumError):
    """A model cannot be served, or a benchmark, an evaluation kit or a judge cannot be used."""


class ConsentError(CapCurriculumError):
    """A recipe would run or send something that the user has not allowed."""
