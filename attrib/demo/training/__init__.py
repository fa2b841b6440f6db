"""Training of the built-in model: examples, network, settings and optimiser state."""
