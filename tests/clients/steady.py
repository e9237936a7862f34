"""Sends errors with sentry-sdk at a steady rate, and says which were answered 200.

    steady.py DSN PER_SECOND SECONDS [CA_FILE]

Prints the id of each event whose request was answered 200, one a line, once all
is sent. What arrived in the end is the server's to say.
"""

import json
import sys
import time

import sentry_sdk
from sentry_sdk.transport import HttpTransport

FLUSH_SECONDS = 20


class Wire(HttpTransport):
    """The SDK's own transport; notes which events were answered 200."""

    taken = []

    def _request(self, method, endpoint_type, body, headers):
        response = super()._request(method, endpoint_type, body, headers)
        if response.status == 200:
            head = json.loads(bytes(body).split(b"\n", 1)[0])
            if "event_id" in head:
                self.taken.append(head["event_id"])
        return response


def main():
    dsn, per_second, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    sentry_sdk.init(
        dsn=dsn,
        transport=Wire,
        auto_session_tracking=False,
        auto_enabling_integrations=False,
        send_client_reports=False,
        shutdown_timeout=FLUSH_SECONDS,
        ca_certs=sys.argv[4] if len(sys.argv) > 4 else None,
        # Line one is read above.
        _experiments={"transport_compression_level": 0},
    )
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        sentry_sdk.capture_message("steady", level="error")
        time.sleep(1 / per_second)
    sentry_sdk.flush(timeout=FLUSH_SECONDS)
    print("\n".join(Wire.taken), flush=True)


main()
