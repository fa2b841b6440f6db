"""Readers that look for shortcuts: what little each of them sees, and how often that gives the answer away."""
