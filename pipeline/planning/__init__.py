"""The plan: units, their digest, and the fingerprint of every setting that changes results."""
