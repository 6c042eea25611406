"""Probabilities to verdicts: accept, correct or abstain, and what is guaranteed."""

from spatialtrust.decision.rule import DecisionRule, decide

__all__ = ["DecisionRule", "decide"]
