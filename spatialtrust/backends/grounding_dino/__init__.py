"""GroundingDINO: in transformers, and in the original package."""
