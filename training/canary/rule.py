"""What the canary's numbers mean: `judge` turns log-probabilities into a verdict.

Both engines give log-probabilities of the same reply. These lengths are compared, each a root mean square over tokens
in nats:

- `reaction` of an engine: how far its values move when a row's own picture is replaced;
- `apart`: how far the two engines are from each other, over all prompts with a row's picture;
- `noise` and `blank`: the same for prompts without a picture, and with a blank one. What number format and kernels do
  to these very tokens is in them, so no constant has to know about bfloat16; a blank picture has the vision tower's
  share too, and stays blank however it is resized.

The engines see alike where `apart` is at most `SHARE` of the stronger reaction, or at most `NOISES` times the noise
where that is more. The noise is that without pictures or with blank ones, whichever is more; the latter counts no
further than `BLANKS` of the reaction, for a lost or exchanged picture shows there too. With bfloat16 in both engines
the micro model was apart 1.4 times that noise at most, and 3.7 to 6 times when the trainer's pictures had lost half
their resolution. Where the stronger reaction itself is no more than what is allowed (or than `LEAST`), nothing can be
said: the model does not look at pictures, or not at these.

A fault's kind: an engine that reacts less than `BLIND` of the other has lost the pictures. Else every prompt is asked
which picture would explain the trainer's values, by the rollout engine's values for all of them: other pictures than
its own mean that they are exchanged, those of the sequence beside it in the batch that they are one row off, its own
that the pixels differ. Of two engines that see different pictures, the one in which a row's own picture speaks less
for the right answer is named, if the difference is clear.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

#: Pictures that are no row's.
BLANK, NONE = -1, -2
#: Of the stronger reaction, what the engines may be apart.
SHARE = 0.05
#: How many times the noise they may be apart.
NOISES = 3.0
#: Of the stronger reaction, how much of the distance with blank pictures is taken for noise.
BLANKS = 0.125
#: Nats below which nothing counts as a reaction: a thousand times float32's resolution of a log-probability near 10.
LEAST = 1e-3
#: Share of the other's reaction below which an engine does not see.
BLIND = 0.25
#: Share of prompts explained by another picture from which on the pictures are exchanged.
_EXCHANGED = 0.25
#: How many more of all prompts, as a share, are explained by the sequence on one side than by that on the other.
_SHIFTED = 0.4

State = Literal["alike", "undecided", "fault"]
Kind = Literal["", "dropped", "swapped", "shifted", "resized"]
Side = Literal["", "trainer", "rollout"]


@dataclass(frozen=True, slots=True)
class Reading:
    """One prompt as both engines scored it.

    `picture` is the number of the row whose picture was shown, `BLANK` or `NONE`. The log-probabilities are of the
    reply's tokens, in nats. `grown` is how many more tokens of prompt the rollout engine had than the trainer. A list
    of them is in the order of the trainer's batch.
    """

    row: int
    picture: int
    trainer: tuple[float, ...]
    rollout: tuple[float, ...]
    grown: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """`kind` and `side` say what is wrong and where, as far as known; lengths are in nats (see the module).

    `grown` is how many more tokens of a prompt the rollout engine had than the trainer, where it differs most.
    """

    state: State
    kind: Kind = ""
    side: Side = ""
    trainer_reaction: float = 0.0
    rollout_reaction: float = 0.0
    apart: float = 0.0
    noise: float = 0.0
    blank: float = 0.0
    grown: int = 0


@dataclass(frozen=True, slots=True)
class _Values:
    """One engine's log-probabilities by row and picture."""

    of: dict[tuple[int, int], "np.ndarray"]

    def reaction(self) -> float:
        return _length(
            value - self.of[row, row]
            for (row, picture), value in self.of.items()
            if picture not in (row, NONE) and (row, row) in self.of
        )

    def preference(self) -> float:
        """By how much a row's own picture makes the reply, which is right for it, more probable than others do."""
        own = [value.mean() for (row, picture), value in self.of.items() if picture == row]
        others = [value.mean() for (row, picture), value in self.of.items() if picture not in (row, NONE)]
        return float(np.mean(own) - np.mean(others)) if own and others else 0.0


def judge(readings: Sequence[Reading]) -> Verdict:
    """The verdict over one look; without a prompt that has a picture, or with values that are no numbers, undecided."""
    shown = [one for one in readings if one.picture != NONE]
    trainer = _Values({(one.row, one.picture): np.array(one.trainer) for one in readings})
    rollout = _Values({(one.row, one.picture): np.array(one.rollout) for one in readings})
    reactions = trainer.reaction(), rollout.reaction()
    apart = _apart(one for one in readings if one.picture >= 0)
    noise, blank = (_apart(one for one in readings if one.picture == kind) for kind in (NONE, BLANK))
    grown = max((one.grown for one in shown), key=abs, default=0)

    def verdict(state: State, kind: Kind = "", side: Side = "") -> Verdict:
        return Verdict(state, kind, side, *reactions, apart, noise, blank, grown)

    if grown:
        return verdict("fault", "resized")
    strongest = max(reactions)
    allowed = max(LEAST, SHARE * strongest, NOISES * max(noise, min(blank, BLANKS * strongest)))
    if not np.isfinite([*reactions, apart, noise, blank]).all() or strongest <= allowed:
        return verdict("undecided")
    if apart <= allowed:
        return verdict("alike")
    if min(reactions) < BLIND * strongest:
        return verdict("fault", "dropped", "trainer" if reactions[0] < reactions[1] else "rollout")
    kind = _kind(shown, trainer, rollout)
    return verdict("fault", kind, "" if kind == "resized" else _astray(trainer, rollout))


def _kind(shown: Sequence[Reading], trainer: _Values, rollout: _Values) -> Kind:
    seen = [_explained_by(one, trainer, rollout) for one in shown]
    wrong = [number for number, one in enumerate(shown) if seen[number] != one.picture]
    if len(wrong) <= _EXCHANGED * len(shown):
        return "resized"
    # Of pictures swapped in pairs as many are the next sequence's as the one's before.
    ahead, behind = (
        np.mean([seen[number] == shown[(number + beside) % len(shown)].picture for number in range(len(shown))])
        for beside in (1, -1)
    )
    return "shifted" if abs(ahead - behind) > _SHIFTED else "swapped"


def _explained_by(one: Reading, trainer: _Values, rollout: _Values) -> int:
    """The picture whose values in the rollout engine are nearest to the trainer's."""
    value = trainer.of[one.row, one.picture]
    distances = {
        picture: _length([value - other])
        for (row, picture), other in rollout.of.items()
        if row == one.row and picture != NONE
    }
    return min(distances, key=lambda picture: (distances[picture], picture != one.picture))


def _astray(trainer: _Values, rollout: _Values) -> Side:
    told, heard = trainer.preference(), rollout.preference()
    if max(told, heard) <= 0 or min(told, heard) > max(told, heard) / 2:
        return ""
    return "trainer" if told < heard else "rollout"


def _apart(readings: Iterable[Reading]) -> float:
    return _length(np.subtract(one.trainer, one.rollout) for one in readings)


def _length(values: Iterable["np.ndarray"]) -> float:
    """Root mean square over all numbers; 0 where there are none."""
    parts = [np.asarray(value, dtype=float).ravel() for value in values]
    return float(np.sqrt(np.mean(np.concatenate(parts) ** 2))) if parts else 0.0
