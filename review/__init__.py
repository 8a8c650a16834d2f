"""Human review: a sample of questions goes to annotators, and their answers become verdicts and corrected keys.

`population`, `design` and `sample` draw the sample; `page` (a file) or `argilla` (a server) shows it with the form of
`filters.human`, which adjudicates; `slips`, `estimate`, `agreement` and `summary` estimate the share of wrong labels.
"""
