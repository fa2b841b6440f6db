"""Atlas of layers and heads: what each attends to over a set of videos, and what it carries."""
