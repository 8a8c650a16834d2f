"""Why answers are wrong: a model judges each wrong reply to a benchmark, several times, and people check a sample.

`kinds` is what a mistake can be; `cases` are the wrong replies; `protocol` is what a judge is asked and how its reply
is read; `votes` keeps and `asking` gathers its votes; `decide` and `estimate` turn votes into shares with intervals;
`people` holds what people say of a sample, by way of a `page` or of Argilla (`server`), and `check` compares.
"""
