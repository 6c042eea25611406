"""Models behind three protocols, resolved from reference strings."""
