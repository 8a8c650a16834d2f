"""Patches of verl, torch and vLLM, each applied right after the module it patches is imported."""
