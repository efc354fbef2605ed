"""The tell room: which channels hear of an incident, what they are told, and a queue that loses nothing."""

from healthd.notify.backoff import Policy
from healthd.notify.channels import CHANNELS, ChannelType, build_channel, builtin_channels
from healthd.notify.compose import compose, compose_sight, compose_test
from healthd.notify.members import compose_members
from healthd.notify.message import Body, Channel
from healthd.notify.notices import compose_notice, match_notice, subject_of
from healthd.notify.options import wants
from healthd.notify.outbox import Outbox
from healthd.notify.routes import match

__all__ = [
    "CHANNELS",
    "Body",
    "Channel",
    "ChannelType",
    "Outbox",
    "Policy",
    "build_channel",
    "builtin_channels",
    "compose",
    "compose_members",
    "compose_notice",
    "compose_sight",
    "compose_test",
    "match",
    "match_notice",
    "subject_of",
    "wants",
]
