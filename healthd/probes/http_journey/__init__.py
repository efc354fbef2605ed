"""The `http_journey` probe: several requests in a row, as a user makes them, with values carried along."""

from healthd.probes.http_journey.probe import HttpJourneyProbe

__all__ = ["HttpJourneyProbe"]
