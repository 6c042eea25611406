"""Detectors that know a fixed list of classes: one for photographs, and any local ONNX model."""
