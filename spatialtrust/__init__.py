"""When can a vision-language model's spatial claim be trusted?

>>> import spatialtrust
>>> sorted(spatialtrust.__all__)[:3]
['Answers', 'Claims', 'DecisionRule']
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spatialtrust import failure, metrics, plots
    from spatialtrust.backends.registry import open_asker, open_detector
    from spatialtrust.decision.certification import Grid, certify, certify_verdicts, rule_scores
    from spatialtrust.decision.rule import DecisionRule, decide
    from spatialtrust.errors import SpatialTrustError
    from spatialtrust.evaluation.figures import evaluate
    from spatialtrust.fusion.model import TrustModel
    from spatialtrust.graph import SceneGraph
    from spatialtrust.graph.files import load_graph, save_graph
    from spatialtrust.io.claim_files import read_claims
    from spatialtrust.jobs.api import SpatialTrust
    from spatialtrust.jobs.own_model import fit
    from spatialtrust.jobs.verification import Verification, verify
    from spatialtrust.tables import Answers, Claims, Detections, Evidence, Images, Verdicts

__version__ = "0.1.0"

_HOMES = {
    "Grid": "decision.certification",
    "certify": "decision.certification",
    "certify_verdicts": "decision.certification",
    "rule_scores": "decision.certification",
    "DecisionRule": "decision.rule",
    "decide": "decision.rule",
    "SpatialTrustError": "errors",
    "evaluate": "evaluation.figures",
    "TrustModel": "fusion.model",
    "SceneGraph": "graph",
    "load_graph": "graph.files",
    "save_graph": "graph.files",
    "read_claims": "io.claim_files",
    "open_asker": "backends.registry",
    "open_detector": "backends.registry",
    "SpatialTrust": "jobs.api",
    "Answers": "tables",
    "Claims": "tables",
    "Detections": "tables",
    "Evidence": "tables",
    "Images": "tables",
    "Verdicts": "tables",
    "Verification": "jobs.verification",
    "verify": "jobs.verification",
    "fit": "jobs.own_model",
}
"""Public name to its module; loaded at first use, so that importing the package is cheap."""

_MODULES = ("failure", "metrics", "plots")
"""Public modules, loaded at first use as well."""

__all__ = [
    "Answers",
    "Claims",
    "DecisionRule",
    "Detections",
    "Evidence",
    "Grid",
    "Images",
    "SceneGraph",
    "SpatialTrust",
    "SpatialTrustError",
    "TrustModel",
    "Verdicts",
    "Verification",
    "certify",
    "certify_verdicts",
    "decide",
    "evaluate",
    "failure",
    "fit",
    "load_graph",
    "metrics",
    "open_asker",
    "open_detector",
    "plots",
    "read_claims",
    "rule_scores",
    "save_graph",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
