"""Pictures of results: each function draws on an Axes and returns it; nothing global is touched.

=========================  ====================================================================
:func:`risk_coverage`      how often what is covered is wrong, against how much is covered
:func:`coverage_targets`   how much can be covered at 60 to 95 % accuracy
:func:`reliability`        how often claims of one confidence are right
:func:`confidence_histogram`  how sure the verdicts are, right and wrong ones
:func:`importance`         what a trust model looks at
:func:`accuracy_curves`    accuracy over coverage of several ways to trust, side by side
:func:`evaluation`         the first four on one figure, as ``spatialtrust eval --plot`` writes them
=========================  ====================================================================

Verdicts are what ``verify`` returned, its table, or the file it was written to. Save a picture with
``axes.figure.savefig("picture.png")``; in a notebook show ``axes.figure``. matplotlib is imported
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
