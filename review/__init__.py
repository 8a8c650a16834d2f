"""People in the loop: a sample of questions goes to reviewers, and what they say comes back as verdicts.

`population`, `design` and `sample` draw; `form` is what a reviewer is shown and asked, by whichever way it reaches them
(`page`: a file; `argilla`: a server); `adjudicate`, `people` and `regrade` turn answers into verdicts and corrected
keys; `slips`, `estimate`, `agreement` and `summary` say how wrong the labels are and how sure that is.
"""
