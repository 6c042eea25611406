"""Boxes recorded elsewhere, in the forms that people have them in.

==========================  =====================================================================
our table                   ``.parquet``, or a folder of parts
COCO, LVIS                  ``.json`` with ``images``, ``annotations``, ``categories``
COCO results                ``[{image_id, category_id, bbox, score}]``, also detectron2's; the file
                            with the images and categories lies beside it
list                        ``[{file_name, width, height, boxes: [{category, bbox_xywh, score}]}]``
detectron2                  ``[{file_name, annotations: [{bbox, bbox_mode, category_id}]}]``
Grounded-SAM-2              ``.json`` with ``image_path``, ``annotations``, ``box_format``
LabelMe                     ``.json`` with ``shapes`` and ``imagePath``
MMDetection                 ``{labels, scores, bboxes}``, in a file called as its image
transformers pipelines      ``{"a.jpg": [{score, label, box: {xmin, ymin, xmax, ymax}}]}``
GQA, Visual Genome          scene graphs: their objects
YOLO                        ``.txt`` (boxes, polygons, tracks) with ``classes.txt`` or ``data.yaml``
                            beside it or above it
stated by a VLM             JSON lines of ``image``, ``grounding``, ``response``: see ``stated``
supervision                 a ``Detections`` object, in Python: :func:`from_supervision`
==========================  =====================================================================

Files of one image each may lie in a folder. Crowd regions (COCO ``iscrowd``) are no objects and are
passed over.
"""

from spatialtrust.io.detections.held import boxes_held
from spatialtrust.io.detections.reading import read_detections
from spatialtrust.io.detections.rows import BoxError, Recorded
from spatialtrust.io.detections.supervision import from_supervision

__all__ = ["BoxError", "Recorded", "boxes_held", "from_supervision", "read_detections"]
