"""Denoiser rows for a kept pair of images, by sweep and procedure."""
