"""Sends one error, one transaction, one session and one error with an
attachment with sentry-sdk, flushes, and prints a JSON line for each.

    python_sdk.py DSN [--compression default|br|gzip|none] [--rounds N]
                      [--fresh-connections] [--skip KIND]...

What arrived is the server's to say; exit 1 says that the SDK did not get an
answer of 200 to everything. The SDK's one worker thread sends all over one
kept-alive connection; --fresh-connections closes it after each request.
`default` is the SDK's own choice: brotli where that package is installed (the
parts have it), else gzip. --skip transaction: for Bugsink, whose first answer
makes every SDK hold its transactions back.
"""

import argparse
import json
import sys

import sentry_sdk
from sentry_sdk.transport import HttpTransport

FLUSH_SECONDS = 20


class Wire(HttpTransport):
    """The SDK's own transport; counts answers and can ask for fresh connections."""

    fresh_connections = False
    answers = []

    def _request(self, method, endpoint_type, body, headers):
        if self.fresh_connections:
            headers = {**headers, "Connection": "close"}
        response = super()._request(method, endpoint_type, body, headers)
        self.answers.append(response.status)
        return response


def options(arguments):
    experiments = {}
    if arguments.compression == "none":
        experiments["transport_compression_level"] = 0
    elif arguments.compression != "default":
        experiments["transport_compression_algo"] = arguments.compression
    return {
        "dsn": arguments.dsn,
        "release": "vidette-tests@1.0.0",
        "environment": "tests",
        "traces_sample_rate": 1.0,
        # Sessions are started and ended below, where they can be counted.
        "auto_session_tracking": False,
        "auto_enabling_integrations": False,
        # Client reports would be sent whenever their timer says so.
        "send_client_reports": False,
        "shutdown_timeout": FLUSH_SECONDS,
        "transport": Wire,
        "_experiments": experiments,
    }


def tell(kind, event_id):
    print(json.dumps({"kind": kind, "event_id": event_id}), flush=True)


def error(message):
    try:
        raise ValueError(message)
    except ValueError:
        return sentry_sdk.capture_exception()


def one_error(_transactions):
    return error("an ordinary error")


def one_transaction(transactions):
    with sentry_sdk.start_transaction(op="task", name="one transaction"):
        with sentry_sdk.start_span(op="db", name="one span"):
            pass
    return transactions.pop()


def one_session(_transactions):
    scope = sentry_sdk.get_isolation_scope()
    scope.start_session(session_mode="application")
    # The SDK has no public name for the running session.
    session_id = scope._session.to_json()["sid"]
    scope.end_session()
    return session_id


def one_attachment(_transactions):
    with sentry_sdk.new_scope() as attached:
        attached.add_attachment(bytes=b"attached bytes\n\x00\xff\r\n" * 100, filename="notes.bin")
        return error("an error with an attachment")


KINDS = {
    "error": one_error,
    "transaction": one_transaction,
    "session": one_session,
    "attachment": one_attachment,
}


def main():
    parser = argparse.ArgumentParser(description="sends one of each kind with sentry-sdk")
    parser.add_argument("dsn")
    parser.add_argument("--compression", choices=["default", "br", "gzip", "none"], default="default")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--fresh-connections", action="store_true")
    parser.add_argument("--skip", action="append", choices=list(KINDS), default=[])
    arguments = parser.parse_args()

    transactions = []

    def remember(event, _hint):
        transactions.append(event["event_id"])
        return event

    Wire.fresh_connections = arguments.fresh_connections
    sentry_sdk.init(before_send_transaction=remember, **options(arguments))
    kinds = [kind for kind in KINDS if kind not in arguments.skip]
    for _ in range(arguments.rounds):
        for kind in kinds:
            tell(kind, KINDS[kind](transactions))
    sentry_sdk.flush(timeout=FLUSH_SECONDS)

    # Errors and transactions go one an envelope; a flush may join all sessions in one.
    wanted = sum(1 if kind == "session" else arguments.rounds for kind in kinds)
    refused = [status for status in Wire.answers if status != 200]
    if len(Wire.answers) < wanted or refused:
        print(
            f"python_sdk.py: {len(Wire.answers)} answers for at least {wanted} envelopes,"
            f" not 200: {refused}",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
