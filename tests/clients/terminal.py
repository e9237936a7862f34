"""Runs a command whose stderr is a pseudo terminal and whose stdout is a pipe, as in `... | jq`, and
prints what it said on both and its exit code as one JSON line.

    terminal.py COMMAND ARGUMENT...
"""

import json
import os
import pty
import subprocess
import sys
import threading

# A hang guard.
WAIT_S = 60

ours, theirs = pty.openpty()
said = []


def hear():
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:
            return
        if not part:
            return
        said.append(part)


child = subprocess.Popen(
    sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs
)
os.close(theirs)
ear = threading.Thread(target=hear, daemon=True)
ear.start()
out, _ = child.communicate(timeout=WAIT_S)
ear.join(WAIT_S)
print(
    json.dumps(
        {
            "code": child.returncode,
            "stdout": out.decode(),
            "stderr": b"".join(said).decode().replace("\r\n", "\n"),
        }
    )
)
