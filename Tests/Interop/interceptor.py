"""Runs the interceptor of docs/errors.md against a running auth.

    interceptor.py ERRORS_MD AUTH_URL  < an admin's access token

Exits 0 when it refreshes, signs in, waits and gives up as the page says, and when its ACTIONS are those of the table.
"""

import json
import re
import sys
import urllib.error
import urllib.request

page, auth = open(sys.argv[1], encoding="utf-8").read(), sys.argv[2]
admin = sys.stdin.read().strip()
code = re.search(r"## An interceptor.*?```python\n(.*?)```", page, re.S).group(1)
namespace = {}
exec(code, namespace)  # noqa: S102: it is our own page.
call, actions = namespace["call"], namespace["ACTIONS"]

rows = re.findall(r"^\| `([a-z_]+)` \| [1-5][0-9]{2} \| .* \| ([a-z ]+)(?::[^|]*)? \|$", page.split("\n## OAuth")[0], re.M)
assert len(rows) > 40, len(rows)
for name, action in rows:
    assert action in ("refresh", "sign in", "correct", "try later", "give up"), (name, action)
    assert actions.get(name) == (action if action in actions.values() else None), (name, action)
assert set(actions) <= {name for name, _ in rows}, set(actions) - {name for name, _ in rows}


def send(method, path, body=None, token=None):
    headers = {"Content-Type": "application/json"} if body is not None else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(auth + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers, json.loads(answer.read() or "{}")
    except urllib.error.HTTPError as error:
        return error.code, error.headers, json.loads(error.read() or "{}")


class Session:
    def __init__(self):
        status, _, grant = send("POST", "/v1/signup", {"email": "ada@example.com", "password": "correct horse battery"})
        assert status == 201, grant
        self.user, self.grant = grant["user"]["id"], grant
        self.refreshes = self.sign_ins = 0
        self.waits = []

    def refresh(self):
        self.refreshes += 1
        status, _, grant = send("POST", "/v1/token/refresh", {"refresh_token": self.grant["refresh_token"]})
        if status == 200:
            self.grant = grant
        return status == 200

    def sign_in(self):
        self.sign_ins += 1

    def call(self, request):
        return call(request, self.refresh, self.sign_in, self.waits.append)

    def ask(self, method, path, body=None):
        return self.call(lambda: send(method, path, body, self.grant["access_token"]))

    @property
    def counts(self):
        return self.refreshes, self.sign_ins, len(self.waits)


session = Session()
status, _, me = session.ask("GET", "/v1/me")
assert (status, session.counts) == (200, (0, 0, 0)), me

# The role is changed, so the token is stale, and one refresh helps.
status, _, answer = send("PATCH", f"/v1/admin/users/{session.user}", {"role": "premium"}, admin)
assert status == 200, answer
status, _, me = session.ask("GET", "/v1/me")
assert (status, me.get("role"), session.counts) == (200, "premium", (1, 0, 0)), (me, session.counts)

# What is wrong with a field is for the user to correct, and its limits are there to be said in any language.
status, _, problem = session.ask("PATCH", "/v1/me", {"name": "x" * 300})
assert (status, problem["code"], session.counts) == (400, "validation_failed", (1, 0, 0)), problem
assert problem["errors"][0]["params"] == {"min": 1, "max": 200}, problem

# What may pass is sent again after the time that the answer names, and what lasts for longer is not waited for.
answers = [(503, {"Retry-After": "3"}, {"code": "database_unavailable"}), (429, {"Retry-After": "1"}, {"code": "rate_limited"})]
status, _, me = session.call(lambda: answers.pop(0) if answers else send("GET", "/v1/me", None, session.grant["access_token"]))
assert (status, session.counts) == (200, (1, 0, 2)), session.counts
assert 3 <= session.waits[0] < 4 and 1 <= session.waits[1] < 2, session.waits
status, _, _ = session.call(lambda: (429, {"Retry-After": "3600"}, {"code": "quota_exceeded"}))
assert (status, session.counts) == (429, (1, 0, 2)), session.counts

# The session is over: neither a refresh nor another try helps.
status, _, answer = send("DELETE", f"/v1/admin/users/{session.user}/sessions", None, admin)
assert status == 200, answer
status, _, problem = session.ask("GET", "/v1/me")
assert (status, problem["code"], session.counts) == (401, "session_revoked", (1, 1, 2)), (problem, session.counts)

# A refresh that is refused ends in the sign-in, too.
status, _, _ = session.call(lambda: (401, {}, {"code": "token_expired"}))
assert (status, session.counts) == (401, (2, 2, 2)), session.counts
print("the interceptor does what the page says")
