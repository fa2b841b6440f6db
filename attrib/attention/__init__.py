"""Attention engine: rows, recursions and statistics of attention without holding an N x N map."""
