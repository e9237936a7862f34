"""A fake of Sentry's upload endpoints, for sentry-cli: the tests' web upstream.

    fake_chunk_upload.py DIR [--port 0] [--chunk-size BYTES] [--request-size BYTES]
                             [--concurrency N] [--compression gzip|none]
                             [--url-prefix URL]

Prints `url: http://127.0.0.1:PORT` and `ready`; stops when its stdin closes or
on SIGTERM. What it got lies in DIR:

    requests.jsonl        one line a client's request, as it arrived: method, target
                          (raw path and query), headers, body bytes and SHA-1
    parts/SHA1            a chunk's bytes as they came, still compressed
    chunks/SHA1           the chunk itself, its SHA-1 checked against its name
    assembled/SHA1        chunks joined as an assemble call named them, checked
    problems.txt          absent while all is well: what did not match, a line each

Chunks are refused (400) when they are not what their name says, so a byte
changed on the way fails the client too. UPLOADS.md tells what the client asks.
"""

import argparse
import collections
import gzip
import hashlib
import http.server
import json
import os
import pathlib
import re
import signal
import threading
import zlib

# What Sentry announces; the client refuses kinds that are not named.
ACCEPT = [
    "debug_files", "release_files", "pdbs", "sources", "bcsymbolmaps", "il2cpp", "portablepdbs",
    "artifact_bundles", "artifact_bundles_v2", "proguard", "preprod_artifacts", "dartsymbolmap",
]
CHUNKS = re.compile(r"/api/0/organizations/[^/]+/chunk-upload/")
DIFS = re.compile(r"/api/0/projects/[^/]+/[^/]+/files/difs/assemble/")
BUNDLES = re.compile(r"/api/0/organizations/[^/]+/artifactbundle/assemble/")
SHA1 = re.compile(r"[0-9a-f]{40}")


def sha1(data):
    return hashlib.sha1(data).hexdigest()


class Store:
    """Everything that lies in DIR. One lock: handlers run on threads."""

    def __init__(self, directory):
        self.directory = directory
        self.lock = threading.Lock()
        for name in ("parts", "chunks", "assembled"):
            (directory / name).mkdir(parents=True, exist_ok=True)

    def append(self, name, line):
        with self.lock, (self.directory / name).open("a") as file:
            file.write(line + "\n")

    def problem(self, text):
        self.append("problems.txt", text)

    def has(self, digest):
        return (self.directory / "chunks" / digest).exists()

    def keep(self, folder, digest, data):
        final = self.directory / folder / digest
        part = final.with_name(f"{digest}.{threading.get_ident()}.part")
        part.write_bytes(data)
        part.replace(final)

    def join(self, digest, chunks):
        data = b"".join((self.directory / "chunks" / chunk).read_bytes() for chunk in chunks)
        if sha1(data) != digest:
            self.problem(f"assemble {digest}: its chunks make {sha1(data)}")
            return False
        self.keep("assembled", digest, data)
        return True


def decoded(data, encoding):
    if encoding in ("", "identity"):
        return data
    if encoding == "gzip":
        return gzip.decompress(data)
    raise ValueError(f"cannot decode {encoding}")


Part = collections.namedtuple("Part", "name filename body")


def multipart(body, content_type):
    """The parts of a form, by its boundary; raises ValueError where it is malformed."""
    found = re.search(r'boundary="?([^";]+)"?', content_type)
    if not found:
        raise ValueError("no boundary")
    mark = b"--" + found[1].encode()
    pieces = body.split(mark)
    if len(pieces) < 2 or pieces[-1].strip() != b"--":
        raise ValueError("the last boundary is missing")
    for piece in pieces[1:-1]:
        head, _, rest = piece.partition(b"\r\n\r\n")
        if not rest.endswith(b"\r\n"):
            raise ValueError("a part without its end")
        disposition = head.decode("latin-1")
        name = re.search(r'[; ]name="([^"]*)"', disposition)
        filename = re.search(r'filename="([^"]*)"', disposition)
        yield Part(name[1] if name else "", filename[1] if filename else "", rest[:-2])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Set by main.
    store = None
    limits = None
    url_prefix = ""
    # A hang guard for a client that stops in the middle.
    timeout = 120

    def log_message(self, *_):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            data = bytearray()
            while size := int(self.rfile.readline().split(b";")[0], 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return bytes(data)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status, value):
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)

    def any_method(self):
        body = self.body()
        line = {
            "method": self.command, "target": self.path, "headers": list(self.headers.items()),
            "bytes": len(body), "sha1": sha1(body),
        }
        if len(body) < 4096 and not self.headers.get("Content-Type", "").startswith("multipart/"):
            line["text"] = body.decode("utf-8", "replace")
        # Whether it is well an edge may ask at any time: that is no request of a client's.
        if not self.headers.get("User-Agent", "").endswith(" (probe)"):
            self.store.append("requests.jsonl", json.dumps(line))
        path = self.path.partition("?")[0]
        status, value = self.route(path, body)
        self.answer(status, value)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = any_method

    def route(self, path, body):
        if CHUNKS.fullmatch(path):
            if self.command == "GET":
                return 200, {"url": self.url_prefix + path, **self.limits}
            if self.command == "POST":
                return self.chunks(body)
            return 405, {"detail": "method"}
        if self.command == "POST" and DIFS.fullmatch(path):
            return 200, {digest: self.debug_file(digest, asked) for digest, asked in json.loads(body).items()}
        if self.command == "POST" and BUNDLES.fullmatch(path):
            asked = json.loads(body)
            return 200, self.assemble(asked["checksum"], asked["chunks"], "created")
        return 404, {"detail": "the fake has no such route"}

    def chunks(self, body):
        # The encoding names what each part is; the form itself is never encoded.
        encoding = self.headers.get("Content-Encoding", "")
        try:
            parts = list(multipart(body, self.headers.get("Content-Type", "")))
            for part in parts:
                self.chunk(part, "gzip" if part.name == "file_gzip" else encoding)
        except (ValueError, OSError, zlib.error) as error:
            self.store.problem(f"chunk upload: {error}")
            return 400, {"detail": str(error)}
        return 200, {}

    def chunk(self, part, encoding):
        if not SHA1.fullmatch(part.filename):
            raise ValueError("a part's file name is no SHA-1")
        chunk = decoded(part.body, encoding)
        if sha1(chunk) != part.filename:
            raise ValueError(f"part {part.filename} is {sha1(chunk)}")
        self.store.keep("parts", part.filename, part.body)
        self.store.keep("chunks", part.filename, chunk)

    def assemble(self, digest, chunks, done):
        missing = [chunk for chunk in chunks if not self.store.has(chunk)]
        if missing or not chunks:
            return {"state": "not_found", "missingChunks": missing, "detail": None}
        if not self.store.join(digest, chunks):
            return {"state": "error", "missingChunks": [], "detail": "the chunks make another file"}
        return {"state": done, "missingChunks": [], "detail": None}

    def debug_file(self, digest, asked):
        answer = self.assemble(digest, asked["chunks"], "ok")
        if answer["state"] == "ok":
            identity = asked.get("debug_id") or "00000000-0000-0000-0000-000000000000"
            answer["dif"] = {
                "id": "1", "uuid": identity, "debugId": identity, "objectName": asked.get("name", ""),
                "cpuName": "x86_64", "symbolType": "elf", "sha1": digest, "size": 0, "data": {},
                "dateCreated": "2026-01-01T00:00:00Z", "headers": {},
            }
        return answer


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main():
    parser = argparse.ArgumentParser(description="a fake of Sentry's upload endpoints")
    parser.add_argument("dir", type=pathlib.Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--chunk-size", type=int, default=8 << 20)
    parser.add_argument("--request-size", type=int, default=32 << 20)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--compression", choices=["gzip", "none"], default="gzip")
    parser.add_argument("--url-prefix", default="", help="has chunks sent there, not to who was asked")
    arguments = parser.parse_args()

    compression = [] if arguments.compression == "none" else ["gzip"]
    Handler.store = Store(arguments.dir)
    Handler.url_prefix = arguments.url_prefix
    Handler.limits = {
        "chunkSize": arguments.chunk_size, "chunksPerRequest": 64, "maxFileSize": 2 << 30,
        "maxRequestSize": arguments.request_size, "concurrency": arguments.concurrency,
        "hashAlgorithm": "sha1", "compression": compression, "accept": ACCEPT,
    }
    server = Server(("127.0.0.1", arguments.port), Handler)
    print(f"url: http://127.0.0.1:{server.server_address[1]}")
    print("ready", flush=True)

    def until_stdin_closes():
        while os.read(0, 4096):
            pass
        server.shutdown()

    threading.Thread(target=until_stdin_closes, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()


if __name__ == "__main__":
    main()
