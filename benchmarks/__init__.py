"""Benchmarks, one question per file; run.py runs them all and writes RESULTS.md."""
