"""Figures of results: each function draws on an Axes and returns it; no global state changes.

============================  =================================================================
:func:`risk_coverage`         error rate over coverage
:func:`coverage_targets`      coverage at 60 to 95 % accuracy
:func:`reliability`           accuracy at each level of confidence
:func:`confidence_histogram`  distribution of confidences, for right and wrong verdicts
:func:`importance`            which inputs a trust model relies on
:func:`accuracy_curves`       accuracy over coverage of several ways to trust, side by side
:func:`evaluation`            the first four in one figure, as ``spatialtrust eval --plot`` does
============================  =================================================================

Verdicts are the result of ``verify``, its table, or the file it was written to. Save a figure with
``axes.figure.savefig("figure.png")``; in a notebook, show ``axes.figure``. matplotlib is imported
when something is drawn: ``pip install "spatialtrust[report]"``.
"""

from spatialtrust.plots.confidences import confidence_histogram, importance, reliability
from spatialtrust.plots.coverage import accuracy_curves, coverage_targets, risk_coverage
from spatialtrust.plots.pages import ENDINGS, evaluation, save, save_curves

__all__ = [
    "ENDINGS",
    "accuracy_curves",
    "confidence_histogram",
    "coverage_targets",
    "evaluation",
    "importance",
    "reliability",
    "risk_coverage",
    "save",
    "save_curves",
]
