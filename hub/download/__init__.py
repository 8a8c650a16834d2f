"""Published sets brought into a run folder that `capcurriculum train` takes, and checked on the way."""
