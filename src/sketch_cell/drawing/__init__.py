"""Darkness becomes one unbroken line; the renderer that predicts its ink; exports."""
