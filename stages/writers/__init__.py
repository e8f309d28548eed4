"""Writers: what turns a caption into instructions and edited captions."""
