"""Engines of docs/engines.md, each in its own environment; without it its tests are skipped."""
