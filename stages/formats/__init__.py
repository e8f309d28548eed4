"""Bytes of a unit: images, tar members, Parquet tables, previews, and their schemas."""
