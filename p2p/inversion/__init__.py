"""Inversion of real images, one module a method: the latents from which an image's edits start."""
