"""Input images of caption pairs: their places, the reading of their bytes, and their decoding."""
