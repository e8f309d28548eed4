"""The two kinds of run, images from caption pairs and caption pairs from captions, with the same methods."""
