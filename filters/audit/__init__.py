"""Audits: an estimate of how many labels are wrong."""
