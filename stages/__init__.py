"""Stages that run on the cluster, one file each, and the formats and files that they share."""
