"""Model folders: location, loading, fingerprints."""
