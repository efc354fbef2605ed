"""Programs of the emulated Synk that healthd runs. Each works alone on files, so that it runs under any Python."""
