"""The Hugging Face Hub: publish, download, and the client with its retries."""
