"""Reading and writing: claims, detections, images, tables, overlays."""
