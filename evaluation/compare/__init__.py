"""Two or more evaluated models side by side: sample by sample where they were asked the same, with intervals.

`pairs` puts replies to the same samples together; `budget` is accuracy at equal length; `comparison` makes the record
that `evaluation.results.comparisons` describes; `charts` draws it; `command` is `capcurriculum compare`.
"""
