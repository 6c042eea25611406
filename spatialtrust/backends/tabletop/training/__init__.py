"""How the checkpoints of the bundle are made; `pipelines/train_tabletop.py` runs it."""
