"""Images of rows: downloaded, extracted, checked and stored."""
