"""Runs stages over images into a run folder: streaming, resumable, here or on a cluster."""
