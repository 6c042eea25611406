"""Claims, boxes and answers to one row of named columns a claim; unknown is NaN with a reason."""
