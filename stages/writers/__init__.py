"""Writers, which turn a caption into instructions and edited captions."""
