"""The output of a run that writes caption pairs: its settings, file, packing and report."""
