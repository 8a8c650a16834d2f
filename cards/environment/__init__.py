"""The package of an environment: a few lines of code over `capcurriculum.engines`, and its data's description."""
