"""Explain one answer: bind the model to a clip and a question, compute maps, and draw its layers."""
