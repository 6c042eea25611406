"""Scene graphs: objects as nodes, claims that are believed as edges, each with its reasons."""

from spatialtrust.graph.scene import Edge, SceneGraph, summarise

__all__ = ["Edge", "SceneGraph", "summarise"]
