"""Attention with injection: the matrices R, D and c, routing of rows, processors, columns of maps, LocalBlend."""
