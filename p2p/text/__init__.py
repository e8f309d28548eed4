"""Prompts: words, tokens, alignment, and the windows of text encoders."""
