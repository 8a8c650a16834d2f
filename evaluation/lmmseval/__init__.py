"""lmms-eval as an engine: `run` asks and grades through its command line, patching nothing."""
