"""Imported by verl in every process of a stage with frozen weights (`actor_rollout_ref.model.external_lib`)."""

from training import freeze, mends

mends.install()
freeze.install()
