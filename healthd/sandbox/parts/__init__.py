"""Servers that any emulated production can be made of."""
