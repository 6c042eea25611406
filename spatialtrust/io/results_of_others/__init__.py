"""Result files that other tools wrote: what a VLM answered, what was right, row by row.

=============  ===================================================================================
VLMEvalKit     ``.xlsx``, ``.tsv``, ``.csv``, ``.json``: ``prediction`` with ``answer`` or ``hit``;
               ``*_extract_matching.xlsx`` and judged files too
lmms-eval      ``*_samples_*.jsonl``: ``doc_id``, ``target``, ``filtered_resps``, metrics
POPE           JSON lines of ``question_id`` and ``text`` or ``answer``; labels beside or apart
What'sUp       JSON list of ``image_path``, ``caption_options`` (the first is right), ``scores``
=============  ===================================================================================

Every row of a file is a row here, with a status. Pickles are never opened.
"""

from spatialtrust.io.results_of_others.reading import read_results_of_others
from spatialtrust.io.results_of_others.rows import Results

__all__ = ["Results", "read_results_of_others"]
