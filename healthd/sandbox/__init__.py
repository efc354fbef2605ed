"""An emulated SyncWatch production on loopback, to try healthd against: real servers, breakable one by one.

`healthd sandbox start` runs it, `healthd sandbox break FAULT` and `mend FAULT` change it from another terminal.
"""
