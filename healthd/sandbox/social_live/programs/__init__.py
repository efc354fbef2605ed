"""Programs of the emulated Social Live that healthd runs."""
