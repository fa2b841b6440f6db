"""How does relevance flow back through a network: layer-wise relevance propagation, operation by operation."""
