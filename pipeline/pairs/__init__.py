"""``pairforge pairs``: caption pairs from captions, by the engine that makes images from caption pairs."""
