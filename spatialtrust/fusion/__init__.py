"""Evidence to one calibrated probability that a claim is true."""
