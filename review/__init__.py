"""People in the loop: a sample of questions goes to reviewers, and what they say comes back as verdicts.

`population`, `design` and `sample` draw; reviewers are asked by `page` (a file) or `argilla` (a server), both with the
form of `filters.human`, which turns their answers into verdicts and corrected keys; `slips`, `estimate`, `agreement`
and `summary` say how wrong the labels are and how sure that is.
"""
