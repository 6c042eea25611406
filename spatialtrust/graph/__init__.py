"""Scene graphs: objects as nodes, claims that are believed as edges, each with its reasons."""

from spatialtrust.graph.candidates import summarise
from spatialtrust.graph.queries import Edge
from spatialtrust.graph.scene import SceneGraph

__all__ = ["Edge", "SceneGraph", "summarise"]
