"""The reward as verl loads it: by the path of this file, into every reward worker."""

from capcurriculum.reward import ACCURACY_WEIGHT, FORMAT_WEIGHT, Score, compute_score, compute_scores, well_formed

__all__ = ["ACCURACY_WEIGHT", "FORMAT_WEIGHT", "Score", "compute_score", "compute_scores", "well_formed"]
