"""Looks made elsewhere: the daemon puts jobs into queues, one for each location, and workers there make the looks.

The queues, leases, retries and dead workers are those of Procrastinate, on the daemon's PostgreSQL. It is imported
when there is a location, and not needed otherwise. `Dispatch` is the daemon's side, `Worker` the other.
"""
