"""Whether an answer equals a gold answer: one module a kind of answer, one table from kind to comparator.

`capcurriculum.answers.grade` is the public name. `spelling` makes one spelling of many, `tokens` and `reading` turn it
into a structure, `comparing` finds the kind of the gold answer and asks that kind's comparator. What counts as equal is
written in docs/grading.md, and a test reads the examples from there.
"""
