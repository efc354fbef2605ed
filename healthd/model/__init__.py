"""The vocabulary: frozen types, units and conditions. Imports nothing of ours from outside this room."""
