"""Runs Bugsink, a Sentry-compatible server, as the tests' upstream.

    bugsink.py DIR PORT [--key KEY]     serve; prints `dsn: ...` and `ready`
    bugsink.py --list DIR               print the stored events as JSON
    bugsink.py --template FILE          keep an empty, migrated database there

Everything lives in DIR: its configuration (the singleserver template), its
SQLite file, its log. Events are digested while the request waits, so whatever
was answered 200 is in the list. It stops when its stdin closes or on SIGTERM.

Bugsink stores errors, and with each the one address of X-Forwarded-For (null
where that header is absent); two addresses there it refuses with 400. Sessions
and attachments it accepts and drops; its first answer tells the SDK to send no
transactions for a day.

Its migrations take twenty seconds. tests/parts/install runs them once; where
VIDETTE_PARTS_DIR names its result, DIR starts as a copy.
"""

import argparse
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid

KEY = "a94ae32be2584e0bbd7a4cbb95971fee"
PROJECT = 1
READY_SECONDS = 60
PR_SET_PDEATHSIG = 1
BIN = pathlib.Path(sys.executable).parent

# Appended to the template: what a test wants otherwise than a server does.
OVERRIDES = """
BUGSINK["BASE_URL"] = "http://127.0.0.1:{port}"
BUGSINK["SINGLE_USER"] = True
BUGSINK["PHONEHOME"] = False
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = False
SECURE_PROXY_SSL_HEADER = None
USE_X_REAL_IP = False
USE_X_FORWARDED_FOR = True
X_FORWARDED_FOR_PROXY_COUNT = 1
# Digest in the request: what was answered is stored.
SNAPPEA["TASK_ALWAYS_EAGER"] = True
SNAPPEA["WAKEUP_CALLS_DIR"] = "{dir}/wakeup"
ALLOWED_HOSTS = ["*"]
"""

CREATE_PROJECT = """
from projects.models import Project
from teams.models import Team
team, _ = Team.objects.get_or_create(name="tests")
Project.objects.update_or_create(id={project}, defaults=dict(name="tests", team=team, sentry_key="{key}"))
"""


def database(directory):
    return directory / "db.sqlite3"


def manage(directory, *arguments, **more):
    done = subprocess.run(
        [BIN / "bugsink-manage", *arguments], cwd=directory, capture_output=True, text=True, **more
    )
    if done.returncode != 0:
        sys.exit(f"bugsink.py: bugsink-manage {arguments[0]} failed:\n{done.stdout}{done.stderr}")


def configure(directory, port):
    directory.mkdir(parents=True, exist_ok=True)
    configuration = directory / "bugsink_conf.py"
    configuration.unlink(missing_ok=True)
    subprocess.run(
        [BIN / "bugsink-create-conf", "--template=singleserver", "--host=127.0.0.1",
         f"--port={port}", f"--base-dir={directory}", f"--output-file={configuration}"],
        check=True, stdout=subprocess.DEVNULL,
    )
    with configuration.open("a") as conf:
        conf.write(OVERRIDES.format(port=port, dir=directory))


def migrate(directory):
    manage(directory, "migrate", "--verbosity=0")
    # The project has a key of its own here; each server sets the one it is given.
    manage(directory, "shell", "-v0", "-c", CREATE_PROJECT.format(project=PROJECT, key=KEY))


def template():
    parts = os.environ.get("VIDETTE_PARTS_DIR")
    return pathlib.Path(parts) / "bugsink.sqlite3" if parts else None


def write_template(file):
    with tempfile.TemporaryDirectory() as scratch:
        directory = pathlib.Path(scratch).resolve()
        configure(directory, 0)
        migrate(directory)
        part = file.with_name(file.name + ".part")
        # The copy is one file, whatever the journal of the first still holds.
        with sqlite3.connect(database(directory)) as db, sqlite3.connect(part) as copy:
            db.backup(copy)
        part.replace(file)


def prepare(directory, port, key):
    configure(directory, port)
    if database(directory).exists():
        sys.exit(f"bugsink.py: {directory} holds the events of another run")
    kept = template()
    if kept and kept.exists():
        shutil.copyfile(kept, database(directory))
    else:
        migrate(directory)
    with sqlite3.connect(database(directory)) as db:
        db.execute("update projects_project set sentry_key = ? where id = ?", (key, PROJECT))


def answers(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
            return answer.status == 200
    except urllib.error.HTTPError:
        # Any answer of its own means that it listens.
        return True
    except OSError:
        return False


def end_with_parent():
    """A server whose starter was killed outright does not stay behind."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def serve(directory, port, key):
    prepare(directory, port, key)
    with (directory / "bugsink.log").open("ab") as log:
        server = subprocess.Popen(
            [BIN / "gunicorn", "--workers=1", "--threads=8", f"--bind=127.0.0.1:{port}",
             "--keep-alive=5", "--graceful-timeout=5", "--no-control-socket", "bugsink.wsgi"],
            cwd=directory, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            preexec_fn=end_with_parent,
        )

    def stop(*_):
        server.terminate()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)

    deadline = time.monotonic() + READY_SECONDS
    while not answers(port):
        if server.poll() is not None or time.monotonic() > deadline:
            stop()
            sys.exit(f"bugsink.py: it does not answer; see {directory / 'bugsink.log'}")
        time.sleep(0.05)
    print(f"dsn: http://{key}@127.0.0.1:{port}/{PROJECT}")
    print("ready", flush=True)

    def until_stdin_closes():
        while os.read(0, 4096):
            pass
        stop()

    threading.Thread(target=until_stdin_closes, daemon=True).start()
    server.wait()


def stored(directory):
    found = database(directory)
    if not found.exists():
        sys.exit(f"bugsink.py: no {found}")
    with sqlite3.connect(f"file:{found}?mode=ro", uri=True, timeout=20) as db:
        rows = db.execute(
            "select event_id, project_id, remote_addr, platform, sdk_name, calculated_type,"
            " calculated_value from events_event order by ingested_at"
        ).fetchall()
    names = ("event_id", "project", "ip", "platform", "sdk", "type", "value")
    return [{**dict(zip(names, row)), "event_id": uuid.UUID(row[0]).hex} for row in rows]


def main():
    parser = argparse.ArgumentParser(description="Bugsink as the tests' upstream")
    parser.add_argument("--list", action="store_true", help="print the stored events as JSON")
    parser.add_argument("--template", action="store_true", help="write a migrated database")
    parser.add_argument("dir", type=pathlib.Path)
    parser.add_argument("port", type=int, nargs="?")
    parser.add_argument("--key", default=KEY)
    arguments = parser.parse_args()
    directory = arguments.dir.resolve()

    if arguments.list:
        print(json.dumps(stored(directory)))
        return
    if arguments.template:
        write_template(directory)
        return
    if arguments.port is None:
        parser.error("PORT is missing")
    if not re.fullmatch("[0-9a-f]{32}", arguments.key):
        parser.error("KEY is not 32 hexadecimal digits")
    serve(directory, arguments.port, arguments.key)


if __name__ == "__main__":
    main()
