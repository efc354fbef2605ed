"""What works beside the corridor: on time that passes, on the catalogue in force, on what happens to incidents.

To add one: a module here, a line in App's list, a test module.
"""

from healthd.services.base import House, Service

__all__ = ["House", "Service"]
