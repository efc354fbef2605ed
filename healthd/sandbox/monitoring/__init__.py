"""The emulated production's Prometheus: the real one when it is installed, else a small stand-in."""
