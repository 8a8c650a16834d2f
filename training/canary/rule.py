"""The canary's rule: `judge` turns log-probabilities into a verdict.

Both engines give log-probabilities of the same reply. Distances are root mean squares over tokens, in nats:

- `reaction` of an engine: the change of its values when a row's image is replaced;
- `apart`: the distance between the engines over all prompts with a row's image;
- `noise` and `blank`: the same over prompts without an image, and with a blank one. They measure the effect of number
  format and kernels on these very tokens, so no constant depends on bfloat16.

The engines agree if `apart` is at most `SHARE` of the stronger reaction, or at most `NOISES` times the noise if that is
more. The noise is the larger of `noise` and `blank`, the latter capped at `BLANKS` of the reaction because a lost image
also shows there. With bfloat16 in both engines the micro model had at most 1.4 times that noise, and 3.7 to 6 times
when the trainer's images had lost half their resolution. If the stronger reaction is within the tolerance or below
`LEAST`, the check is undecided: the model does not depend on these images.

An engine that reacts less than `BLIND` of the other has lost the images. Otherwise each prompt is matched with the
image for which the rollout engine's values are nearest to the trainer's: other rows' images are swapped, those of the
neighbouring sequence shifted, and its own have other pixels. The side at fault is the one in which a row's own image
favours the gold answer less, if the difference is clear.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

#: Numbers of images that belong to no row.
BLANK, NONE = -1, -2
#: Tolerance of `apart`, as a share of the stronger reaction.
SHARE = 0.05
#: Tolerance of `apart`, as a multiple of the noise.
NOISES = 3.0
#: Largest part of the distance with blank images that counts as noise, as a share of the stronger reaction.
BLANKS = 0.125
#: Smallest reaction, in nats: a thousand times float32's resolution of a log-probability near 10.
LEAST = 1e-3
#: An engine that reacts less than this share of the other does not see the images.
BLIND = 0.25
#: Above this share of prompts explained by another image, images are swapped.
_EXCHANGED = 0.25
#: Above this difference between the shares explained by the next and by the previous sequence, images are shifted.
_SHIFTED = 0.4

State = Literal["alike", "undecided", "fault"]
Kind = Literal["", "dropped", "swapped", "shifted", "resized"]
Side = Literal["", "trainer", "rollout"]


@dataclass(frozen=True, slots=True)
class Reading:
    """One prompt as both engines scored it; lists of them are in the order of the trainer's batch.

    `picture` is the number of the row whose image was shown, `BLANK` or `NONE`. `trainer` and `rollout` are the
    log-probabilities of the reply's tokens in nats, `grown` is the rollout engine's prompt length minus the trainer's
    in tokens.
    """

    row: int
    picture: int
    trainer: tuple[float, ...]
    rollout: tuple[float, ...]
    grown: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """`kind` and `side` are "" where there is no fault or they are unknown; distances are in nats (see the module).

    `grown` is the largest difference of prompt lengths, rollout engine minus trainer, in tokens.
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
    """One engine's log-probabilities by (row, image)."""

    of: dict[tuple[int, int], "np.ndarray"]

    def reaction(self) -> float:
        return _length(
            value - self.of[row, row]
            for (row, picture), value in self.of.items()
            if picture not in (row, NONE) and (row, row) in self.of
        )

    def preference(self) -> float:
        """The mean log-probability of the gold answer with its row's image minus that with others."""
        right = [value.mean() for (row, picture), value in self.of.items() if picture == row]
        others = [value.mean() for (row, picture), value in self.of.items() if picture not in (row, NONE)]
        return float(np.mean(right) - np.mean(others)) if right and others else 0.0


def judge(readings: Sequence[Reading]) -> Verdict:
    """The verdict on one check; undecided if no prompt has an image or a value is not finite."""
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
    # Images swapped in pairs match the next sequence as often as the previous one.
    ahead, behind = (
        np.mean([seen[number] == shown[(number + beside) % len(shown)].picture for number in range(len(shown))])
        for beside in (1, -1)
    )
    return "shifted" if abs(ahead - behind) > _SHIFTED else "swapped"


def _explained_by(one: Reading, trainer: _Values, rollout: _Values) -> int:
    """The image whose values in the rollout engine are nearest to the trainer's."""
    value = trainer.of[one.row, one.picture]
    distances = {
        picture: _length([value - other])
        for (row, picture), other in rollout.of.items()
        if row == one.row and picture != NONE
    }
    return min(distances, key=lambda picture: (distances[picture], picture != one.picture))


def _astray(trainer: _Values, rollout: _Values) -> Side:
    low, high = sorted((trainer.preference(), rollout.preference()))
    if high <= 0 or low > high / 2:
        return ""
    return "trainer" if trainer.preference() == low else "rollout"


def _apart(readings: Iterable[Reading]) -> float:
    return _length(np.subtract(one.trainer, one.rollout) for one in readings)


def _length(values: Iterable["np.ndarray"]) -> float:
    """Root mean square over all numbers; 0 where there are none."""
    parts = [np.asarray(value, dtype=float).ravel() for value in values]
    return float(np.sqrt(np.mean(np.concatenate(parts) ** 2))) if parts else 0.0
