"""Verbalised confidence: objects are perturbed, and a VLM learns to say how sure it is.

The method is CSP, "confidence calibration by semantic perturbation" (arXiv 2504.14848), of which no
code is public. What the paper states: noise on the key objects only, its level standing for a
confidence level; supervised fine-tuning on (perturbed picture, question, answer with confidence),
then SimPO. Everything else here is this package's choice, and is called so where it is made.
"""
