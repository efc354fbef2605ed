"""healthd: documented checks, run."""

__version__ = "0.1.0"
