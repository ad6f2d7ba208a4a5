"""Tables and figures: a pure function of the records, so that the same records give the same bytes."""
