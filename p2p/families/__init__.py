"""Model families, one module each; `p2p/models/family_registry.py` finds that of a model."""
