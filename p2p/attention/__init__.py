"""Attention with injection: the matrices R, D and c, routing of rows, processors, maps, LocalBlend."""
