"""Emulated productions on loopback, to try healthd against: real servers, breakable one by one.

`healthd sandbox start SYSTEM` runs one, `healthd sandbox break FAULT` and `mend FAULT` change it from another terminal.
`parts` holds what productions are made of and knows none of them; `syncwatch` and its neighbours are one production
each, as `world` says.
"""
