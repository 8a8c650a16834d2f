"""The Hugging Face Hub: publishing, downloading, and retries of its clients."""
