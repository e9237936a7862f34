"""Sends with sentry-sdk what it is told to, a line at a time, and says so.

    obey.py DSN

Reads `error`, `transaction` or `session` from its standard input, hands one of
that kind to the SDK, waits until the SDK has nothing left to send, and prints
`done`. Whether anything left is for whoever watches the wire: an SDK that was
told to hold a kind back holds it back.
"""

import sys

import sentry_sdk

FLUSH_SECONDS = 20


def error():
    sentry_sdk.capture_message("an error", level="error")


def transaction():
    with sentry_sdk.start_transaction(op="task", name="one transaction"):
        pass


def session():
    scope = sentry_sdk.get_isolation_scope()
    scope.start_session(session_mode="application")
    scope.end_session()


KINDS = {"error": error, "transaction": transaction, "session": session}


def main():
    sentry_sdk.init(
        dsn=sys.argv[1],
        release="vidette-tests@1.0.0",
        environment="tests",
        traces_sample_rate=1.0,
        auto_session_tracking=False,
        auto_enabling_integrations=False,
        send_client_reports=False,
        shutdown_timeout=FLUSH_SECONDS,
    )
    for line in sys.stdin:
        KINDS[line.strip()]()
        sentry_sdk.flush(timeout=FLUSH_SECONDS)
        print("done", flush=True)


main()
