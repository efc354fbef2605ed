"""The emulated Synk."""
