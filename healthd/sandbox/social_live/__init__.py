"""The emulated Social Live."""
