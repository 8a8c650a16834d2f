"""Signatures of benchmarks: files that hold hashes of their questions and images, and nothing that can be read."""
