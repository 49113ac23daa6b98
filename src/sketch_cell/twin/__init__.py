"""The toy, its firmware and its camera, simulated at the wire."""
