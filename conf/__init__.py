"""Hydra's groups, one YAML file a choice, and the typed schema that holds them to their keys."""
