"""The teacher: a model that writes multiple-choice questions from captions."""
