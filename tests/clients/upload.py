"""Uploads made-up source maps and debug files with the real sentry-cli.

    upload.py URL [--kind sourcemaps|debug-files|both] [--megabytes N] [--files N]
                  [--seed N] [--org ORG] [--project PROJECT] [--token TOKEN]
                  [--log-level LEVEL] [--keep DIR]

The inputs are the same bytes for the same --seed, --megabytes and --files, on
any machine, and do not compress to less than half. Prints a JSON line for each
file given to sentry-cli: {"kind", "name", "bytes", "sha1"}. A debug file goes
up as it is, so its SHA-1 is the one the server assembles; source maps go up in
one bundle of sentry-cli's making, so theirs are those of the bundle's files.
Exit code: sentry-cli's own. It makes no retries: a request that fails on the
way is a failure here.
"""

import argparse
import hashlib
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

MEBIBYTE = 1 << 20
# A hang guard for one run of sentry-cli.
RUN_SECONDS = 300
SENTRY_CLI = pathlib.Path(sys.executable).parent / "sentry-cli"


def hexadecimal(chance, length):
    """Text of that length which compresses to half."""
    return chance.randbytes(length // 2 + 1).hex()[:length]


def write_sourcemaps(directory, files, length, chance):
    for number in range(files):
        script = f"function f{number}(){{return {number}}}\n//# sourceMappingURL=bundle{number}.js.map\n"
        map_text = json.dumps({
            "version": 3, "file": f"bundle{number}.js", "sources": [f"source{number}.js"], "names": [],
            "sourcesContent": [f"// {hexadecimal(chance, length)}\n"], "mappings": "AAAA",
        })
        (directory / f"bundle{number}.js").write_text(script)
        (directory / f"bundle{number}.js.map").write_text(map_text)


def write_debug_files(directory, files, length, chance):
    for number in range(files):
        identity = chance.randbytes(16).hex().upper() + "0"
        lines = [f"MODULE Linux x86_64 {identity} program{number}\n"]
        size = len(lines[0])
        address = 0x1000
        while size < length:
            line = f"PUBLIC {address:x} 0 {hexadecimal(chance, 64)}\n"
            lines.append(line)
            size += len(line)
            address += 0x10
        (directory / f"program{number}.sym").write_text("".join(lines))


KINDS = {
    "sourcemaps": (write_sourcemaps, ["sourcemaps", "upload", "--no-rewrite", "--release", "vidette-tests@1.0.0"]),
    "debug-files": (write_debug_files, ["debug-files", "upload"]),
}


def environment(arguments, home):
    env = {name: value for name, value in os.environ.items() if not name.upper().startswith("SENTRY_")}
    for proxy in ("http_proxy", "https_proxy", "all_proxy"):
        env.pop(proxy, None)
        env.pop(proxy.upper(), None)
    env.update({
        "SENTRY_URL": arguments.url,
        "SENTRY_AUTH_TOKEN": arguments.token,
        "SENTRY_ORG": arguments.org,
        "SENTRY_PROJECT": arguments.project,
        "SENTRY_LOG_LEVEL": arguments.log_level,
        "SENTRY_DISABLE_UPDATE_CHECK": "1",
        "SENTRY_HTTP_MAX_RETRIES": "0",
        # No settings of the person who runs the tests.
        "HOME": str(home),
    })
    return env


def upload(kind, arguments, scratch):
    write, command = KINDS[kind]
    inputs = scratch / kind
    inputs.mkdir(parents=True)
    # Text seeds give the same numbers in every version of Python that we use.
    chance = random.Random(f"{arguments.seed} {kind}")
    write(inputs, arguments.files, int(arguments.megabytes * MEBIBYTE), chance)
    for path in sorted(inputs.iterdir()):
        data = path.read_bytes()
        print(json.dumps({
            "kind": kind, "name": path.name, "bytes": len(data), "sha1": hashlib.sha1(data).hexdigest(),
        }))
    sys.stdout.flush()
    done = subprocess.run(
        [SENTRY_CLI, *command, "."], cwd=inputs, env=environment(arguments, scratch),
        stdout=sys.stderr, stdin=subprocess.DEVNULL, timeout=RUN_SECONDS,
    )
    return done.returncode


def main():
    parser = argparse.ArgumentParser(description="uploads made-up files with sentry-cli")
    parser.add_argument("url")
    parser.add_argument("--kind", choices=[*KINDS, "both"], default="both")
    parser.add_argument("--megabytes", type=float, default=1.0, help="of each file")
    parser.add_argument("--files", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--org", default="acme")
    parser.add_argument("--project", default="shop")
    parser.add_argument("--token", default="a" * 64)
    parser.add_argument("--log-level", default="warn")
    parser.add_argument("--keep", type=pathlib.Path, help="leave the inputs in this directory")
    arguments = parser.parse_args()

    kinds = list(KINDS) if arguments.kind == "both" else [arguments.kind]
    with tempfile.TemporaryDirectory() as temporary:
        scratch = (arguments.keep or pathlib.Path(temporary)).resolve()
        for kind in kinds:
            code = upload(kind, arguments, scratch)
            if code != 0:
                print(f"upload.py: sentry-cli {kind} ended with {code}", file=sys.stderr)
                return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
