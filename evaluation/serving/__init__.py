"""Models behind an OpenAI-compatible API: starting, supervising, guarding and addressing them."""
