"""A review on an Argilla server: a sample is pushed as records, and everybody's responses are pulled as reviews.

Only `connection` knows Argilla's client. Where the server is and who asks come from `ARGILLA_API_URL` and
`ARGILLA_API_KEY`, and neither is ever written down.
"""
