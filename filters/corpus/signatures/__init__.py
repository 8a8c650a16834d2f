"""Signatures of benchmarks: files with hashes of their questions and images, without readable content."""
