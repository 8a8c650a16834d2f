"""What other trainers need to read the published sets and to grade with this project's grader (docs/engines.md).

Nothing here imports torch. `verifiers` and `nemo_gym` import theirs, the rest no engine; an engine imports it.
"""
