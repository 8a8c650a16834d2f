"""VLMEvalKit as an engine: `run` asks and grades through it, patching nothing."""
