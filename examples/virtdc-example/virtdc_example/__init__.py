"""One plugin of each kind, small and whole."""
