"""Sweets cut out of photos, and a photo laid out of sweets."""
