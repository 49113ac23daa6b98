"""A photo in: read whole and upright, its JPEG facts, and its blocks repaired."""
