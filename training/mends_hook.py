"""Imported by verl in every process of a training (`actor_rollout_ref.model.external_lib`)."""

from training.mends import install

install()
