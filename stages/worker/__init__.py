"""The process that holds a stage: start, supervision, restart."""
