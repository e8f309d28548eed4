"""Hydra groups with one YAML file for each option, and the typed schema that validates them."""
