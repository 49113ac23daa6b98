"""One small file per sketch-cell command: wiring only."""
