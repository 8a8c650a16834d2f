"""Error analysis: a judge model classifies each wrong reply to a benchmark several times, and people check a sample.

`kinds` are the kinds of errors; `cases` the wrong replies; `protocol` the judge's prompt and parser; `asking` collects
votes, `votes` stores them and decides by majority; `estimate` computes shares with intervals; `people` stores the
answers of people, given on a `page` or on Argilla (`server`), and `check` compares them with the judge.
"""
