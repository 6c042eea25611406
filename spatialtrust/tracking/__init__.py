"""Identity over time, and graphs that do not flicker."""
