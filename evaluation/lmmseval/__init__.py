"""lmms-eval as an engine, driven through its command line."""
