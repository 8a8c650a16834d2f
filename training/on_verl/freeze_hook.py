"""verl imports this in every process of a stage with frozen weights (`actor_rollout_ref.model.external_lib`)."""

from training.on_verl import freeze
from training.on_verl.patches import mends

mends.install()
freeze.install()
