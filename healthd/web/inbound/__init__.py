"""What services send to healthd: people who acknowledge in PagerDuty, and press buttons in Slack.

Each is served only when the secret that its requests are signed with is set.
"""

from starlette.routing import Route

from healthd.web.inbound import pagerduty, slack

ROUTES = [
    Route("/hooks/pagerduty", pagerduty.receive, methods=["POST"]),
    Route("/hooks/slack", slack.receive, methods=["POST"]),
]
