"""Explaining one answer: the model bound to a clip and a question, its maps, and its layers."""
