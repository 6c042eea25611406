"""A run as one page to look at and to judge on: self-contained HTML that needs no network."""

from spatialtrust.report.judging import write_label_page
from spatialtrust.report.writing import write_report

__all__ = ["write_label_page", "write_report"]
