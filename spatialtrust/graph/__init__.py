"""Scene graphs: objects as nodes, claims that are believed as edges, each with its reasons."""

from spatialtrust.graph.candidates import summarise
from spatialtrust.graph.scene import Edge, SceneGraph

__all__ = ["Edge", "SceneGraph", "summarise"]
