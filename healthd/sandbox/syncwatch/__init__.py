"""SyncWatch: watch videos together. Its production, emulated."""
