"""The services under test: the release binary, with its rate limits off, on ports that are free."""

import base64
import hashlib
import hmac
import http.client
import json
import os
import pathlib
import struct
import subprocess
import tempfile
import time
import zlib

from cluster import BenchError, free_port, stop

# Public: it protects made-up data on the loopback. It must stay the same from run to run,
# since the signing keys of a kept set are encrypted with it.
MASTER_KEY = hashlib.sha256(b"tessera benchmarks").digest()


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def refresh_token(row, generation):
    """The refresh token that the service itself would make for a row (Sources/AuthService/Sessions/RefreshTokens/RefreshToken.swift).

    Nothing of a token is stored, so rows made by SQL are sessions like any other to whoever has the master key: a
    hundred thousand sessions need no hundred thousand password hashes.
    """
    extracted = hmac.digest(bytes(32), MASTER_KEY, "sha256")
    key = hmac.digest(extracted, b"tessera/v1/tessera-refresh-v1\x01", "sha256")
    head = hashlib.sha256(MASTER_KEY).digest()[:1] + bytes.fromhex(row) + struct.pack(">I", generation)
    text = "tsr_" + base64url(head + hmac.digest(key, b"tessera-refresh-v1" + head, "sha256"))
    return text + base64url(struct.pack(">I", zlib.crc32(text.encode())))


def client_secret(client):
    """A client's secret in its form (Sources/AuthService/OAuth/Clients/ClientSecret.swift), the same at each call."""
    text = "tcs_" + base64url(hmac.digest(MASTER_KEY, client.encode(), "sha256"))
    return text + base64url(struct.pack(">I", zlib.crc32(text.encode())))


class Service:
    """`tessera auth` or `tessera chat` on a database, until the `with` ends."""

    def __init__(self, binary, kind, database, auth_url=None, settings=None):
        self.port, metrics = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = tempfile.TemporaryDirectory(prefix="tessera-bench-service.")
        own = {"auth": "TESSERA_AUTH", "chat": "TESSERA_CHAT"}[kind]
        self.environment = {
            "PATH": os.environ["PATH"],
            "TESSERA_DATA_DIR": self.folder.name,
            f"{own}_PORT": str(self.port),
            f"{own}_DATABASE_URL": database,
            "TESSERA_PUBLIC_URL": auth_url or self.url,
            "TESSERA_METRICS_ADDRESS": f"127.0.0.1:{metrics}",
            "TESSERA_ACCESS_TOKEN_TTL": "1d",
            "TESSERA_RATE_LIMITS": "off",
            "TESSERA_LOG_LEVEL": "error",
            **(settings or {}),
        }
        if kind == "chat" and "TESSERA_CHAT_CLIENT_ID" not in self.environment:
            self.environment["TESSERA_CHAT_FOLLOW"] = "off"
        if kind == "auth":
            self.environment["TESSERA_MASTER_KEY"] = base64.b64encode(MASTER_KEY).decode()
        self.command = [str(binary), kind, "--migrate"]
        self.kind = kind

    def __enter__(self):
        self.log = open(pathlib.Path(self.folder.name) / "service.log", "w+")
        self.process = subprocess.Popen(self.command, env=self.environment, stdout=self.log, stderr=self.log)
        try:
            self.wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def wait(self):
        deadline = time.monotonic() + 60
        while True:
            try:
                if self.call("GET", "/readyz")[0] == 200:
                    return
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.log.seek(0)
                raise BenchError(f"tessera {self.kind} did not become ready: {self.log.read()[-2000:]}")
            time.sleep(0.02)

    def __exit__(self, *_):
        stop(self.process)
        self.log.close()
        self.folder.cleanup()

    def call(self, method, path, body=None, token=None):
        """One request; the status, and the JSON of the answer if it is JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            headers = {"Content-Type": "application/json"} if body is not None else {}
            if token:
                headers["Authorization"] = f"Bearer {token}"
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            answer = connection.getresponse()
            content = answer.read()
            is_json = "json" in (answer.headers.get("Content-Type") or "")
            return answer.status, json.loads(content) if is_json and content else None
        finally:
            connection.close()

    def expect(self, status, method, path, body=None, token=None):
        got, answer = self.call(method, path, body, token)
        if got != status:
            raise BenchError(f"{method} {path} answered {got}: {answer}")
        return answer

    def run(self, *arguments):
        """A command beside the service, with its settings; what it wrote."""
        done = subprocess.run([self.command[0], *arguments], env=self.environment, capture_output=True, text=True)
        if done.returncode != 0:
            raise BenchError(f"tessera {' '.join(arguments)} failed: {done.stderr[-2000:]}")
        return done.stdout

    def memory(self):
        """Resident memory now and at its highest, in KiB (proc(5))."""
        with open(f"/proc/{self.process.pid}/status") as status:
            fields = dict(line.split(":", 1) for line in status)
        return {"rss_kib": int(fields["VmRSS"].split()[0]), "hwm_kib": int(fields["VmHWM"].split()[0])}


class Example(Service):
    """Examples/WhoAmI: a service with the library, as its README says to run it."""

    def __init__(self, binary, auth_url, secret):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.folder = tempfile.TemporaryDirectory(prefix="tessera-bench-example.")
        self.environment = {"TESSERA_AUTH_URL": auth_url, "CLIENT_SECRET": secret, "PORT": str(self.port)}
        self.command = [str(binary)]
        self.kind = "example"
