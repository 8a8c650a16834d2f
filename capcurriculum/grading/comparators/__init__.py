"""One module a kind of answer: whether an answer equals a gold answer of that kind."""
