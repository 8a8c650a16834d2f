"""verl imports this in every process of a training (`actor_rollout_ref.model.external_lib`)."""

from training.on_verl.patches.mends import install

install()
