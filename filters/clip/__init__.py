"""CLIP: loading, preprocessing and the scores of image pairs."""
