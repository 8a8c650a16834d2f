"""Whether a model fails from its very first reply on, each time alike: then asking on is in vain. No model in here."""

from collections.abc import Hashable

#: Replies that must fail alike, and what they must be about (images, or prompts without one): many replies may be
#: about one bad image, and that is no fault of the model.
ENOUGH = 20
SUBJECTS = 5
#: Only the beginning of a reason is compared: behind it some servers say back what they were sent.
_COMPARED = 100
_READ = 1000


def alike(why: str) -> str:
    """What reasons have in common that differ in numbers, ids and paths alone."""
    words = ("#" if "/" in word or any(map(str.isdigit, word)) else word for word in why[:_READ].split())
    return " ".join(words)[:_COMPARED]


class Streak:
    """A model's first replies to one kind of request, up to the first that is unlike the others.

    One that is not `open` is over, and nothing begins it anew: rows that fail while others pass end no build.
    """

    def __init__(self, *, open: bool = True, enough: int = ENOUGH, subjects: int = SUBJECTS) -> None:
        self.open = open
        self._enough, self._least = enough, subjects
        self.count = 0
        self._form = ""
        self._subjects: set[Hashable] = set()

    def end(self) -> None:
        """A reply was of use."""
        self.open = False
        self._subjects.clear()

    def add(self, why: str, subject: Hashable) -> bool:
        """A reply failed; whether there are enough now to tell that all will."""
        form = alike(why)
        if not self.open or (self.count and form != self._form):
            self.end()
            return False
        self._form = form
        self.count += 1
        self._subjects.add(subject)
        return self.count >= self._enough and len(self._subjects) >= self._least
