"""Whole jobs: what a command or a line of Python does from end to end."""
