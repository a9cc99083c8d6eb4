"""How long a revocation takes to reach those who judge tokens: a second auth node, chat, and the example service.

One loop over sockets asks all three about one token without a pause to speak of, while the request that ends the token
is under way. What counts is the time from the arrival of that request's answer to the arrival of the first refusal; a
refusal that comes before the answer counts as 0.

Before that, the claim that makes it remarkable: the example answers 100,000 requests, a third of them with tokens that
nobody has seen before, and auth counts no request and no connection.
"""

import hashlib
import json
import re
import selectors
import signal
import socket
import time
import urllib.request

import fixtures
import load
from cluster import BenchError, stop
from service import Example, Service, refresh_token

JUDGES = ("second auth node", "chat", "example")
KINDS = ("session", "logout", "password", "deactivation", "role")
# Of one round.
REVOCATIONS = 200
# While auth's counters stand still.
REQUESTS = 100_000
# Users beside those whose tokens are ended: the refreshes are theirs.
OTHERS = 10_000
PASSWORD = "correct horse battery staple"
# A judge is asked again at once, but not more often than this: the load is the refreshes and not the questions.
PACE = 0.001


class Connection:
    """A kept-alive connection; one request at a time, without waiting."""

    def __init__(self, port):
        self.port = port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def send(self, method, path, token, body=None):
        content = json.dumps(body).encode() if body is not None else b""
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
        if token:
            head += f"Authorization: Bearer {token}\r\n"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        self.socket.sendall(head.encode() + b"\r\n" + content)

    def receive(self):
        """What has come; the status once the answer is whole, else None."""
        chunk = self.socket.recv(65536)
        if not chunk:
            raise BenchError(f"port {self.port} closed a connection that was to be kept")
        self.received += chunk
        head, end, content = self.received.partition(b"\r\n\r\n")
        if not end:
            return None
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        if len(content) < (int(length[1]) if length else 0):
            return None
        self.received, self.content = b"", content
        return int(head.split(b" ", 2)[1])

    def ask(self, *request):
        self.send(*request)
        while True:
            status = self.receive()
            if status is not None:
                return status


def drive(port, requests, take, connections=16):
    """Sends all requests over a few connections, and gives each with its answer's content to `take`; all must be 200."""
    requests = iter(requests)
    with selectors.DefaultSelector() as selector:
        def go_on(connection):
            connection.request = next(requests, None)
            if connection.request:
                connection.send(*connection.request)
            else:
                selector.unregister(connection.socket)
                connection.socket.close()

        for _ in range(connections):
            connection = Connection(port)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            go_on(connection)
        while selector.get_map():
            for key, _ in selector.select():
                connection = key.data
                status = connection.receive()
                if status is None:
                    continue
                if status != 200:
                    raise BenchError(f"{connection.request[0]} {connection.request[1]} answered {status}")
                take(connection.request, connection.content)
                go_on(connection)


class Round:
    """What came out of one round: microseconds by judge and kind."""

    def __init__(self):
        self.times = {judge: {kind: [] for kind in KINDS} for judge in JUDGES}
        self.note = None

    def of(self, judge, kind=None):
        kinds = [kind] if kind else KINDS
        return sorted(time for one in kinds for time in self.times[judge][one])

    def samples(self):
        samples = {}
        for judge in JUDGES:
            times = self.of(judge)
            samples[judge] = load.Sample(None, load.percentile(times, 0.5), load.percentile(times, 0.99), len(times))
        samples[JUDGES[0]].note = self.note
        return samples


def table(rounds):
    """A line for each judge and kind, over all rounds."""
    lines = []
    for judge in JUDGES:
        for kind in (*KINDS, None):
            times = sorted(time for one in rounds for time in one.of(judge, kind))
            p50, p99 = load.percentile(times, 0.5) / 1000, load.percentile(times, 0.99) / 1000
            lines.append(f"{judge}, {kind or 'all'}: p50 {p50:.1f} ms, p99 {p99:.1f} ms, "
                         f"max {times[-1] / 1000:.1f} ms of {len(times)}")
    return lines


class Fleet:
    """Two auth nodes, chat and the example on one PostgreSQL, and the refreshes beside."""

    def __init__(self, stage):
        self.stage, self.cluster = stage, stage.cluster
        self.victims = REVOCATIONS * stage.rounds
        self.sessions = 2 * (self.victims + OTHERS)
        self.started = []

    def __enter__(self):
        try:
            self.prepare()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        while self.started:
            self.started.pop().__exit__()

    def start(self, service):
        self.started.append(service.__enter__())
        return service

    def prepare(self):
        url, tessera = self.cluster.url, self.stage.tessera
        for database in ("reach", "reach_chat"):
            self.cluster.create(database)
        self.auth = self.start(Service(tessera, "auth", url("reach")))
        self.rows()
        second = self.start(Service(tessera, "auth", url("reach"), self.auth.url))
        example = self.start(Example(self.stage.options.bin_dir / "WhoAmI", self.auth.url, self.client("who-am-i")))
        # Before there is a chat: it reads pages of the feed besides, for what it keeps about users.
        self.silence = self.ask_nobody(example)
        chat = self.start(Service(tessera, "chat", url("reach_chat"), self.auth.url, {
            "TESSERA_CHAT_CLIENT_ID": "chat", "TESSERA_CHAT_CLIENT_SECRET": self.client("chat")}))
        paths = ("/v1/validate", "/v1/conversations?limit=1", "/whoami")
        self.addresses = [(judge, service.port, path)
                          for judge, service, path in zip(JUDGES, (second, chat, example), paths)]
        self.calibrate()

    def client(self, name):
        made = self.auth.run("clients", "create", "--id", name, "--name", name, "--scope", "events")
        return re.search(r"^secret: (\S+)$", made, re.MULTILINE)[1]

    def rows(self):
        """Users with two sessions each, all with the password of one who signed up, and an admin."""
        sign_up = {"email": "admin@bench.example", "password": PASSWORD}
        self.auth.expect(201, "POST", "/v1/signup", sign_up)
        self.cluster.sql(fixtures.users_sql(1, self.sessions // 2), "reach")
        self.cluster.sql(fixtures.sessions_sql(1, self.sessions, 2), "reach")
        self.cluster.sql("""
            UPDATE accounts SET password_hash = known.password_hash
            FROM accounts known JOIN users u ON u.id = known.user_id
            WHERE u.email_key = 'admin@bench.example' AND known.provider_id = 'password';
            UPDATE users SET role = 'admin' WHERE email_key = 'admin@bench.example'""", "reach")
        fixtures.loaded(self.cluster, "reach")
        self.admin = self.auth.expect(200, "POST", "/v1/login", sign_up)["access_token"]

    # The silence.

    def calls(self):
        """Requests and connections that auth has counted."""
        with urllib.request.urlopen(f"http://{self.auth.environment['TESSERA_METRICS_ADDRESS']}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return [sum(float(line.split()[-1]) for line in lines if line.startswith(f"{name}{{") and '"auth"' in line)
                for name in ("tessera_http_requests_total", "tessera_http_connections_total")]

    def ask_nobody(self, example):
        """Lets the example answer while auth's counters are watched, and tells how it went."""
        new = -(-REQUESTS // 3)
        first = 2 * self.victims + 1
        rows = [(hashlib.md5(f"refresh{first + number % (2 * OTHERS)}".encode()).hexdigest(), number // (2 * OTHERS))
                for number in range(new + 1000)]
        bodies = ({"refresh_token": refresh_token(row, generation)} for row, generation in rows)
        tokens = []
        drive(self.auth.port, (("POST", "/v1/token/refresh", None, body) for body in bodies),
              lambda _, content: tokens.append(json.loads(content)["access_token"]))
        unseen, seen = tokens[:new], tokens[new:]
        if len(set(unseen)) != new:
            raise BenchError("some tokens are the same, and only a third is to be seen before")
        drive(example.port, (("GET", "/whoami", token) for token in seen), lambda *_: None)
        before, began = self.calls(), time.perf_counter()
        requests = (("GET", "/whoami", unseen[number // 3] if number % 3 == 0 else seen[number % len(seen)])
                    for number in range(REQUESTS))
        drive(example.port, requests, lambda *_: None)
        took, after = time.perf_counter() - began, self.calls()
        if before != after or not all(before):
            raise BenchError(f"auth was called while tokens were verified: {before} requests and connections, "
                             f"then {after}")
        return (f"the example answered {REQUESTS:,} requests in {took:.1f} s, {new:,} of them with tokens never seen "
                f"before; auth's requests and accepted connections stood still")

    # The load.

    def tokens(self):
        return fixtures.postgres_tokens(self.cluster, "reach", self.sessions, self.stage.folder / "tokens-reach",
                                        first=2 * self.victims + 1)

    def calibrate(self):
        """Finds the greatest rate of refreshes, and the rest between two that gives half of it."""
        seconds = self.stage.seconds
        self.most = load.wrk("refresh", self.auth.url, seconds, self.tokens(), load.THREADS).per_second
        self.rest = max(1, round(1600 * load.CONNECTIONS / self.most))
        for _ in range(2):
            rate = load.wrk("refresh", self.auth.url, max(2, seconds // 3), self.tokens(), load.THREADS,
                            self.rest).per_second
            self.aim(rate)

    def aim(self, rate):
        """From a rate that was reached to the rest that gives half of the greatest: what answers take is the same."""
        answer = 1000 * load.CONNECTIONS / rate - self.rest
        self.rest = max(1, round(2000 * load.CONNECTIONS / self.most - answer))

    def load_note(self):
        return (f"refreshes alone: {self.most:,.0f} a second at most; beside the revocations {load.CONNECTIONS} "
                f"connections that rest in between, {self.rest} ms on average at first")

    # The revocations.

    def victim_tokens(self, number):
        """Two access tokens of each victim of a round, from their two sessions, and the user's number."""
        users = range(number * REVOCATIONS + 1, (number + 1) * REVOCATIONS + 1)
        rows = {hashlib.md5(f"refresh{session}".encode()).hexdigest(): session
                for user in users for session in (2 * user - 1, 2 * user)}
        ids = ",".join(f"'{row}'" for row in rows)
        found = {}
        for row, generation in self.cluster.sql(f"SELECT id, generation FROM refresh_tokens WHERE id IN ({ids})",
                                                "reach"):
            body = {"refresh_token": refresh_token(row, int(generation))}
            found[rows[row]] = self.auth.expect(200, "POST", "/v1/token/refresh", body)["access_token"]
        return [(user, found[2 * user - 1], found[2 * user]) for user in users]

    def request(self, kind, user, token, other):
        """The request that ends `token`."""
        path = f"/v1/admin/users/{fixtures.user_id(user)}"
        return {
            "session": ("DELETE", f"/v1/admin/sessions/{fixtures.session_id(2 * user - 1)}", self.admin),
            "logout": ("POST", "/v1/logout", token),
            "password": ("POST", "/v1/password/change", other,
                         {"current_password": PASSWORD, "password": PASSWORD + " and more"}),
            "deactivation": ("POST", f"{path}/deactivate", self.admin),
            "role": ("PATCH", path, self.admin, {"role": "admin"}),
        }[kind]

    def measure(self, number):
        victims, result = self.victim_tokens(number), Round()
        beside = load.wrk_beside("refresh", self.auth.url, 3600, self.tokens(), load.THREADS, self.rest)
        try:
            # Under load before it counts.
            time.sleep(1)
            # Services close what says nothing for 30 s, so each round has connections of its own.
            self.judges = {judge: (Connection(port), path) for judge, port, path in self.addresses}
            self.caller = Connection(self.auth.port)
            for index, (user, token, other) in enumerate(victims):
                kind = KINDS[index % len(KINDS)]
                for judge, took in self.revoke(self.request(kind, user, token, other), token).items():
                    result.times[judge][kind].append(took)
            beside.send_signal(signal.SIGINT)
            output, _ = beside.communicate(timeout=60)
        finally:
            stop(beside)
        reached = load.wrk_sample(output, "refresh")
        self.aim(reached.per_second)
        result.note = (f"{reached.per_second:,.0f} refreshes a second beside ({reached.per_second / self.most:.0%} of "
                       f"the most), p99 {reached.p99_us / 1000:.1f} ms")
        return result

    def revoke(self, request, token):
        """Sends the request while all judges are asked; the microseconds from its answer to each one's refusal."""
        for judge, (connection, path) in self.judges.items():
            status = connection.ask("GET", path, token)
            if status != 200:
                raise BenchError(f"{judge} answered {status} to a good token")
        with selectors.DefaultSelector() as selector:
            selector.register(self.caller.socket, selectors.EVENT_READ, None)
            for judge, (connection, _) in self.judges.items():
                selector.register(connection.socket, selectors.EVENT_READ, judge)
            began = time.perf_counter()
            answered, refused, again = None, {}, {judge: began for judge in self.judges}
            self.caller.send(*request)
            while answered is None or len(refused) < len(self.judges):
                now = time.perf_counter()
                if now > began + 10:
                    raise BenchError(f"{request[0]} {request[1]}: answered {answered is not None}, after 10 s refused "
                                     f"only by {sorted(refused)}")
                for judge in [judge for judge, at in again.items() if at <= now]:
                    # Asked; `again` knows it once more when it has answered.
                    del again[judge]
                    connection, path = self.judges[judge]
                    connection.send("GET", path, token)
                    connection.asked = now
                wait = max(0, min(again.values(), default=now + 1) - time.perf_counter())
                for key, _ in selector.select(wait):
                    connection = self.judges[key.data][0] if key.data else self.caller
                    status = connection.receive()
                    now = time.perf_counter()
                    if status is None:
                        continue
                    if key.data is None:
                        if status not in (200, 204):
                            raise BenchError(f"{request[0]} {request[1]} answered {status}")
                        answered = now
                    elif status in (401, 403):
                        refused[key.data] = now
                    elif status == 200:
                        again[key.data] = max(now, connection.asked + PACE)
                    else:
                        raise BenchError(f"{key.data} answered {status}")
        return {judge: max(0, at - answered) * 1e6 for judge, at in refused.items()}
