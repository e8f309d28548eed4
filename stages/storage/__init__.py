"""The output folder or bucket: exclusive creation, checksums, plan files, commits."""
