"""What tests of several rooms share: small worlds, loopback servers, planted runs."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
