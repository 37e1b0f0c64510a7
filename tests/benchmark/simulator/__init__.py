"""A deterministic simulator of policies; see ``model``."""
