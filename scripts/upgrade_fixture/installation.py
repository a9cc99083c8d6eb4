"""Both services of one binary on databases of their own, and what their clients were given."""

import base64
import datetime
import http.client
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.parse

PUBLIC_URL = "https://auth.example.com"
CHAT_URL = "https://chat.example.com"
PASSWORD = "correct horse battery staple"
ACCESS_TOKEN_SECONDS = 86_400
# Headers of an answer that say something of the rows.
NOTED_HEADERS = ("x-auth-user", "x-auth-session", "x-auth-client", "x-auth-role", "x-auth-kind", "x-auth-scope")


def new_key():
    return base64.b64encode(secrets.token_bytes(32)).decode()


def basic(client, secret):
    # RFC 6749 §2.3.1: form-encoded before they are joined.
    pair = f"{urllib.parse.quote(client, safe='')}:{urllib.parse.quote(secret, safe='')}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Answer:
    def __init__(self, status, headers, text):
        self.status, self.headers, self.text = status, headers, text

    def __getitem__(self, member):
        return json.loads(self.text)[member]

    @property
    def value(self):
        """JSON, or the lines of NDJSON; None where there is no body."""
        if not self.text:
            return None
        if "ndjson" in self.headers.get("content-type", ""):
            return [json.loads(line) for line in self.text.splitlines()]
        return json.loads(self.text)


class Client:
    def __init__(self, port):
        self.port = port

    def send(self, method, path, body=None, token=None, headers=None, expect=None):
        """`body`: an object is JSON, a dict under the header of a form is one, a text goes as it is."""
        headers = dict(headers or {})
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if isinstance(body, (dict, list)):
            if headers.get("Content-Type") == "application/x-www-form-urlencoded":
                body = urllib.parse.urlencode(body)
            else:
                body = json.dumps(body, ensure_ascii=False)
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            connection.request(method, path, body.encode() if body is not None else None, headers)
            answer = connection.getresponse()
            text = answer.read().decode()
            fields = {name.lower(): value for name, value in answer.getheaders()}
        finally:
            connection.close()
        if expect is not None and answer.status != expect:
            sys.exit(f"make-upgrade-fixture: {method} {path} answered {answer.status}, not {expect}: {text}")
        return Answer(answer.status, fields, text)


class Installation:
    def __init__(self, binary, store, folder):
        self.binary, self.store, self.folder = binary, store, folder
        self.auth, self.chat = Client(free_port()), Client(free_port())
        self.processes = {}
        self.first_key, self.second_key = new_key(), new_key()
        self.ring = self.first_key
        self.chat_client = {}
        self.users, self.tokens = {}, {}
        self.facts = {
            "public_url": PUBLIC_URL,
            "chat_url": CHAT_URL,
            "access_token_seconds": ACCESS_TOKEN_SECONDS,
            "password": PASSWORD,
            "users": [],
            "tokens": self.tokens,
            "refresh_tokens": [],
            "cookies": [],
            "clients": {},
            "repeats": [],
            "asks": [],
            "chat": {},
            "rows": {},
        }

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()

    # MARK: processes

    def environment(self, **settings):
        base = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return base | {
            "TESSERA_AUTH_PORT": str(self.auth.port),
            "TESSERA_CHAT_PORT": str(self.chat.port),
            "TESSERA_PUBLIC_URL": PUBLIC_URL,
            "TESSERA_CHAT_PUBLIC_URL": CHAT_URL,
            "TESSERA_AUTH_URL": f"http://127.0.0.1:{self.auth.port}",
            "TESSERA_METRICS_ADDRESS": f"127.0.0.1:{free_port()}",
            "TESSERA_DATA_DIR": str(self.folder / "data"),
            "TESSERA_AUTH_DATABASE_URL": self.store.url("auth"),
            "TESSERA_CHAT_DATABASE_URL": self.store.url("chat"),
            "TESSERA_MASTER_KEY": self.ring,
            "TESSERA_ACCESS_TOKEN_TTL": f"{ACCESS_TOKEN_SECONDS}s",
            "TESSERA_ARGON2_MEMORY_KIB": "64",
            "TESSERA_ARGON2_ITERATIONS": "1",
            "TESSERA_LOG_LEVEL": "warning",
        } | self.chat_client | settings

    def run(self, *arguments, input="", **settings):
        done = subprocess.run(
            [self.binary, *arguments], env=self.environment(**settings), input=input, text=True, capture_output=True
        )
        if done.returncode != 0:
            sys.exit(f"make-upgrade-fixture: tessera {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def _start(self, service, client, **settings):
        log = open(self.folder / f"{service}.log", "ab")
        command = [self.binary, service, "--migrate"]
        process = subprocess.Popen(command, env=self.environment(**settings), stdout=log, stderr=log)
        self.processes[service] = process
        deadline = time.monotonic() + 120
        while True:
            try:
                if client.send("GET", "/readyz").status == 200:
                    return
            except OSError:
                pass
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"make-upgrade-fixture: {service} is not ready: {open(log.name).read()[-4000:]}")
            time.sleep(0.02)

    def start_auth(self, **settings):
        self._start("auth", self.auth, **settings)

    def start_chat(self):
        self._start("chat", self.chat)

    def stop_auth(self):
        self._stop("auth")

    def stop_chat(self):
        self._stop("chat")

    def _stop(self, service):
        process = self.processes.pop(service)
        process.send_signal(signal.SIGTERM)
        if process.wait(timeout=30) != 0:
            sys.exit(f"make-upgrade-fixture: {service} ended with {process.returncode}")

    def kill_chat(self, read):
        process = self.processes.pop("chat")
        process.kill()
        self.store.end_sessions("chat", read)
        process.wait()

    # MARK: what the clients know

    def ask(self, service, method, path, body=None, token=None, headers=None):
        """Asks what changes nothing, and notes the answer: the next program must answer the same.

        `token`: the name of one.
        """
        client = self.auth if service == "auth" else self.chat
        headers = dict(headers or {})
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urllib.parse.urlencode(body)
        answer = client.send(method, path, body, token=token and self.tokens[token], headers=headers)
        if answer.status >= 500:
            sys.exit(f"make-upgrade-fixture: {method} {path} answered {answer.status}: {answer.text}")
        ask = {"service": service, "method": method, "path": path, "status": answer.status}
        for name, value in (("token", token), ("headers", headers), ("body", body)):
            if value:
                ask[name] = value
        if answer.status >= 400:
            # Of a refusal the code counts: OAuth calls it `error`.
            value = answer.value or {}
            ask["answer"] = {name: value[name] for name in ("code", "error") if name in value}
        elif answer.value is not None:
            ask["answer"] = answer.value
        noted = {name: answer.headers[name] for name in NOTED_HEADERS if name in answer.headers}
        if noted:
            ask["answer_headers"] = noted
        self.facts["asks"].append(ask)
        return answer

    def note_time(self):
        """The moment at which a test's clock begins."""
        self.facts["made_at"] = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self.facts["master_key"] = self.ring
