"""Figures, printed on demand; never a test that is timed.

Each figure stands beside its peer, measured in the same run: what the same
machine does without us. See ``python -m tests.benchmark --help``.
"""
