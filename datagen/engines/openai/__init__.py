"""The HTTP client of OpenAI-compatible endpoints: retry, concurrency, circuit breaker, bodies and replies."""
