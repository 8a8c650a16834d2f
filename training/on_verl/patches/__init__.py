"""Patches of verl, torch and vLLM, each installed after the module it patches is imported."""
