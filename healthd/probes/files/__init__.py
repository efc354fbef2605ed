"""Files by glob: how many, how old, how large, whether they are whole."""

from healthd.probes.files.probe import FilesProbe

__all__ = ["FilesProbe"]
