"""Model folders: location, loading, family modules, tokenizers, fingerprints."""
