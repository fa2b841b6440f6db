"""Layer-wise relevance propagation: the flow of relevance back through a network, operation by operation."""
