"""How good verdicts are, where labels exist."""
