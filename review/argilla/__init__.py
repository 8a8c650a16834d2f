"""Review on an Argilla server: a sample is pushed as records, responses are pulled as reviews.

Address and key come from `ARGILLA_API_URL` and `ARGILLA_API_KEY` and are never stored.
"""
