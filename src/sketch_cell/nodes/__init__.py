"""One small file per node: wiring only."""
