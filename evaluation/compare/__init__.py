"""Paired comparison of evaluated models on the same samples, with intervals.

`pairs` joins replies to the same samples; `budget` is accuracy at equal length; `comparison` builds the record defined
in `evaluation.results.comparisons`; `charts` draws it; `command` is `capcurriculum compare`.
"""
