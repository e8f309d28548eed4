"""The drawn world: objects, colours, styles, and the pictures and masks of scenes."""
