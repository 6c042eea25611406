"""Which claims to ask, and which boxes they mean."""
