"""Writers that outlive what they write to, and the hand that kills it. Started by the crash and full-disk tests.

    crash_writer.py AUTH_PORT CHAT_PORT CONTROL_PORT LOG [CHAT_WRITERS] [SIGNUP_WRITERS] [OWNERS] [CHANGES]

Each writer is one connection with one request on it at a time: it makes conversations with three messages, appends
two messages to the last one it made, or signs people up. Every request is one unit of the service, and has an id of
its own. With CHANGES = 1 it also edits, deletes and truncates messages of that conversation, which
nobody else writes, and moves it to the trash and back. Each owner then has a conversation s0, s1, ... besides, which all
of the owner's writers append to, fork, and trash: s0 is so long that a fork of it takes several units. The outcome goes to LOG *after* the answer was read whole, one line each:

    acknowledged|refused|unknown|odd KIND ID [WHAT]

*refused* is a 503 that promises that nothing was committed, *unknown* a 503 `outcome_unknown` or a connection that
ended without an answer. A change of a message that an earlier unknown request had deleted is refused too, and so is
what meets another writer's trash. Anything else is *odd*, and the test fails on it. After anything but an acknowledgement a
writer pauses a little and goes on with its next id: an id is never sent twice.

The test speaks to CONTROL_PORT, one GET each:

    /counts                                                     → the totals so far
    /kill?pid=P&signal=S&tree=0|1&open=N&acknowledged=M         → kills once N are open and M were acknowledged since
                                                                  the last kill
    /stop                                                       → no new requests; answers once none is open

A request counts as *open* from when it was sent until an answer (or the end of the connection) is *readable*, not
until it is read: the loop asks the kernel once more, right before it kills, which answers have already come. So the
count at the kill is of requests that the service has not answered yet. Python's standard library only.
"""

import json
import os
import selectors
import signal
import socket
import sys
import time
import urllib.parse
import urllib.request

PASSWORD = "correct horse battery staple"
PAUSE = 0.1
KINDS = ("acknowledged", "refused", "unknown", "odd")
# Messages in the shared conversation of the first owner, and of every other.
SHARED = (600, 3)
# What others may have deleted or moved to the trash, or keep changing while it is copied.
MAY_BE_GONE = {"edit": (404,), "delete": (404,), "fork": (404, 409), "share": (404,), "hide": (404,), "show": (404,)}


class Writer:
    """One connection. `requests` gives it the next (kind, id, bytes)."""

    def __init__(self, load, number, port, requests):
        self.load, self.number, self.port, self.requests = load, number, port, requests
        self.socket = None
        self.unit = None  # what is open: (kind, id)
        self.answer = b""
        self.not_before = 0.0
        self.last = None  # the last conversation that was acknowledged
        self.messages = []  # the messages of it that may be there
        self.effect = None  # what the open unit makes of `messages`
        self.trashed = False  # whether `last` is in the trash
        self.missed = False  # whether the shared conversation was in the trash
        self.shared = []  # messages of its own in the shared conversation

    def begin(self):
        """Sends the next request, connecting first when needed."""
        try:
            if self.socket is None:
                self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=5)
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError:
            # Nothing was sent, so there is no transaction whose outcome could be asked for.
            return self.rest()
        kind, unit, message = self.requests(self)
        self.unit, self.answer = (kind, unit), b""
        self.load.open.add(self)
        try:
            self.socket.settimeout(5)
            self.socket.sendall(message)
            self.socket.setblocking(False)
            self.load.selector.register(self.socket, selectors.EVENT_READ, self)
        except OSError as error:
            self.end("unknown", type(error).__name__)

    def ready(self):
        """Reads what has come; ends the unit when that is a whole answer, or the end of the connection."""
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError as error:
            return self.end("unknown", type(error).__name__)
        if not data:
            return self.end("unknown", "closed")
        self.answer += data
        head, separator, body = self.answer.partition(b"\r\n\r\n")
        if not separator:
            return
        fields = head.decode("latin-1").lower().split("\r\n")
        length = next((int(f.split(":")[1]) for f in fields if f.startswith("content-length:")), None)
        status = int(fields[0].split()[1])
        if length is None and status != 204:
            return self.end("odd", "no content-length")
        if len(body) < (length or 0):
            return
        if status in (200, 201, 204):
            self.end("acknowledged")
        elif status in MAY_BE_GONE.get(self.unit[0], ()):
            self.missed = self.missed or self.unit[0] in ("fork", "share") and status == 404
            self.end("refused", f"{status} gone")
        else:
            try:
                code = json.loads(body)["code"]
            except (ValueError, KeyError):
                code = "no code"
            known = {"outcome_unknown": "unknown", "database_unavailable": "refused", "hashing_overloaded": "refused",
                     "timed_out": "refused",
                     # Chat has just started and does not know yet whom to believe, or what was revoked.
                     "keys_unavailable": "refused", "key_unknown": "refused", "revocations_unavailable": "refused"}
            self.end(known.get(code, "odd") if status == 503 else "odd", f"{status} {code}")

    def end(self, outcome, what=""):
        (kind, unit), self.unit = self.unit, None
        self.load.open.discard(self)
        self.load.record(outcome, kind, unit, what)
        answered = outcome == "acknowledged" or what[:1].isdigit()
        if self.socket is not None:
            try:
                self.load.selector.unregister(self.socket)
            except KeyError:
                pass
            if not answered:
                self.socket.close()
                self.socket = None
        if outcome == "acknowledged":
            if kind == "create":
                self.last, self.trashed = unit, False
            elif kind in ("trash", "restore"):
                self.trashed = kind == "trash"
            elif kind == "share":
                self.shared += [f"{unit}.m{n}" for n in range(2)]
            if self.effect is not None:
                self.messages = self.effect
            self.not_before = 0.0
        else:
            if kind in ("trash", "restore"):
                # Whether it is there is not known now.
                self.last, self.trashed, self.messages = None, False, []
            self.rest()

    def rest(self):
        self.not_before = time.monotonic() + PAUSE


class Control:
    """One request of the test."""

    def __init__(self, load, connection):
        self.load, self.connection, self.received = load, connection, b""
        load.selector.register(connection, selectors.EVENT_READ, self)

    def ready(self):
        data = self.connection.recv(4096)
        self.received += data
        if data and b"\r\n\r\n" not in self.received:
            return
        self.load.selector.unregister(self.connection)
        if not data:
            return self.connection.close()
        target = urllib.parse.urlsplit(self.received.split()[1].decode())
        query = dict(urllib.parse.parse_qsl(target.query))
        self.load.command(self, target.path, query)

    def answer(self, value):
        body = json.dumps(value).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        self.connection.setblocking(True)
        try:
            self.connection.sendall(head + body)
        except OSError:
            pass  # The test has given up waiting; it says so itself.
        self.connection.close()


class Load:
    def __init__(self, auth, chat, control, log, chat_writers, signup_writers, owners, changes):
        self.selector = selectors.DefaultSelector()
        self.open = set()
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.totals = dict.fromkeys(KINDS, 0)
        self.since_kill = 0
        self.pending_kill = self.pending_stop = None
        self.stopping = False
        self.next = 0
        self.changes = changes
        self.tokens = [self.sign_up(auth, f"owner-{n}@example.com") for n in range(owners)]
        self.chat_port, self.auth_port = chat, auth
        if changes:
            for number, token in enumerate(self.tokens):
                self.share(number, token)
        self.writers = [Writer(self, n, chat, self.chat_request) for n in range(chat_writers)]
        self.writers += [Writer(self, n, auth, self.signup_request) for n in range(signup_writers)]
        self.listener = socket.create_server(("127.0.0.1", control))
        self.selector.register(self.listener, selectors.EVENT_READ, None)

    @staticmethod
    def sign_up(port, email):
        body = json.dumps({"email": email, "password": PASSWORD}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/v1/signup", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["access_token"]

    def share(self, number, token):
        """Makes the conversation that an owner's writers share."""
        path, left = "conversations", SHARED[min(number, 1)]
        while left:
            items = [{"role": "user", "content": f"shared {left - n}"} for n in range(min(left, 100))]
            body = {"messages": items} | ({"id": f"s{number}"} if path == "conversations" else {})
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
            request = urllib.request.Request(
                f"http://127.0.0.1:{self.chat_port}/v1/{path}", json.dumps(body).encode(), headers
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                answer.read()
            path, left = f"conversations/s{number}/messages", left - len(items)

    # What is written

    def post(self, port, path, body, token=None, method="POST"):
        data = json.dumps(body, separators=(",", ":")) if body is not None else ""
        authorization = f"Authorization: Bearer {token}\r\n" if token else ""
        return (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{authorization}"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n{data}"
        ).encode()

    def chat_request(self, writer):
        self.next += 1
        token = self.tokens[writer.number % len(self.tokens)]
        writer.effect = None
        if self.changes:
            if writer.missed or self.next % 32 in (9, 14, 17, 20, 25, 28, 31):
                return self.shared_request(writer, token)
            if writer.last and (writer.trashed or self.next % 16 == 7):
                return self.trash_request(writer, token)
        if self.changes and writer.last and self.next % 8 in (1, 2, 3, 5, 6) and writer.messages:
            return self.change_request(writer, token)
        if writer.last and self.next % 4 == 0:
            unit = f"{writer.last}.a{self.next}"
            body = {"messages": self.messages(unit, 2)}
            writer.effect = writer.messages + [m["id"] for m in body["messages"]]
            return "append", unit, self.post(self.chat_port, f"/v1/conversations/{writer.last}/messages", body, token)
        unit = f"c{self.next}"
        body = {"id": unit, "title": unit, "messages": self.messages(unit, 3)}
        writer.effect = [m["id"] for m in body["messages"]]
        return "create", unit, self.post(self.chat_port, "/v1/conversations", body, token)

    def trash_request(self, writer, token):
        """Moves the writer's conversation to the trash, or back: nothing else is done with it in between."""
        path = f"/v1/conversations/{writer.last}"
        if writer.trashed:
            unit = f"{writer.last}.r{self.next}"
            return "restore", unit, self.post(self.chat_port, f"{path}/restore", None, token)
        return "trash", f"{writer.last}.x{self.next}", self.post(self.chat_port, path, None, token, "DELETE")

    def shared_request(self, writer, token):
        """Appends to, changes, forks or trashes what all writers of an owner write to."""
        name = f"s{writer.number % len(self.tokens)}"
        path = f"/v1/conversations/{name}"
        if writer.missed:
            # Another writer moved it to the trash and may have been killed before moving it back.
            writer.missed = False
            return "show", f"{name}.h{self.next}", self.post(self.chat_port, f"{path}/restore", None, token)
        if self.next % 32 == 31:
            writer.missed = True
            return "hide", f"{name}.g{self.next}", self.post(self.chat_port, path, None, token, "DELETE")
        if self.next % 32 in (9, 20, 25):
            unit = f"{name}.f{self.next}"
            return "fork", unit, self.post(self.chat_port, f"{path}/fork", {"title": unit}, token)
        if self.next % 32 == 17 and writer.shared:
            target = writer.shared[self.next % len(writer.shared)]
            body = {"content": f"edit {self.next}", "tokens_in": self.next % 50}
            return "edit", f"{name}.e{self.next}:{target}", self.post(
                self.chat_port, f"{path}/messages/{target}", body, token, "PATCH"
            )
        if self.next % 32 == 28 and len(writer.shared) > 2:
            target = writer.shared.pop(0)
            return "delete", f"{name}.d{self.next}:{target}", self.post(
                self.chat_port, f"{path}/messages/{target}", None, token, "DELETE"
            )
        unit = f"{name}.a{self.next}"
        body = {"messages": self.messages(unit, 2)}
        return "share", unit, self.post(self.chat_port, f"{path}/messages", body, token)

    def change_request(self, writer, token):
        """Edits, deletes or truncates. The unit's id says what, its number, and `:` of which message or past which."""
        path = f"/v1/conversations/{writer.last}/messages"
        target = writer.messages[self.next % len(writer.messages)]
        kind = {1: "edit", 2: "edit", 3: "delete", 5: "edit", 6: "truncate"}[self.next % 8]
        if kind == "edit":
            unit = f"{writer.last}.e{self.next}:{target}"
            body = {"content": f"edit {self.next}", "tokens_in": self.next % 50}
            return kind, unit, self.post(self.chat_port, f"{path}/{target}", body, token, "PATCH")
        if kind == "delete":
            writer.effect = [message for message in writer.messages if message != target]
            return kind, f"{writer.last}.d{self.next}:{target}", self.post(
                self.chat_port, f"{path}/{target}", None, token, "DELETE"
            )
        # Which messages are past the number is the audit's business: it sees what has which. No more changes here.
        after, writer.effect = self.next % 5, []
        unit = f"{writer.last}.t{self.next}:{after}"
        return kind, unit, self.post(self.chat_port, f"{path}?after_seq={after}", None, token, "DELETE")

    def messages(self, unit, count):
        tokens = {"tokens_in": 1, "tokens_out": 2} if self.changes else {}
        return [
            {"id": f"{unit}.m{n}", "role": "user", "content": f"message {n} of {unit}", **tokens} for n in range(count)
        ]

    def signup_request(self, writer):
        self.next += 1
        unit = f"u{self.next}@example.com"
        return "signup", unit, self.post(self.auth_port, "/v1/signup", {"email": unit, "password": PASSWORD})

    def record(self, outcome, kind, unit, what):
        os.write(self.log, f"{outcome} {kind} {unit} {what}".rstrip().encode() + b"\n")
        self.totals[outcome] += 1
        if outcome == "acknowledged":
            self.since_kill += 1
            # Right after an answer was read: had it been given before the commit, this is when it would show.
            if self.pending_kill:
                self.kill()

    # What the test asks for

    def command(self, control, path, query):
        if path == "/kill":
            self.pending_kill = (control, {name: int(value) for name, value in query.items()})
        elif path == "/stop":
            self.stopping, self.pending_stop = True, control
        else:
            control.answer(self.totals)

    def kill(self):
        """Kills if enough is open. Between the count and the signal this process does nothing else."""
        control, order = self.pending_kill
        if self.since_kill < order["acknowledged"] or len(self.open) < order["open"]:
            return
        if order["tree"]:
            # Stopped first, so that it starts no child that would be missed.
            os.kill(order["pid"], signal.SIGSTOP)
            with open(f"/proc/{order['pid']}/task/{order['pid']}/children") as file:
                pids = [order["pid"]] + [int(pid) for pid in file.read().split()]
        else:
            pids = [order["pid"]]
        answered = {key.data for key, _ in self.selector.select(0) if isinstance(key.data, Writer)}
        count = len(self.open - answered)
        if count < order["open"]:
            if order["tree"]:
                os.kill(order["pid"], signal.SIGCONT)
            return
        for pid in pids:
            try:
                os.kill(pid, order["signal"])
            except ProcessLookupError:
                pass  # A child that had just ended.
        self.pending_kill = None
        control.answer({"open": count, "acknowledged": self.since_kill, "killed": len(pids)})
        self.since_kill = 0

    def run(self):
        while True:
            if self.stopping and not self.open:
                self.pending_stop.answer(self.totals)
                return
            now = time.monotonic()
            if not self.stopping:
                for writer in self.writers:
                    if writer.unit is None and writer.not_before <= now:
                        writer.begin()
            for key, _ in self.selector.select(0.005):
                if key.data is None:
                    Control(self, self.listener.accept()[0])
                else:
                    key.data.ready()


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:4] + sys.argv[5:]]
    Load(*numbers[:3], sys.argv[4], *(numbers[3:] + [88, 8, 4, 0][len(numbers) - 3:])).run()
