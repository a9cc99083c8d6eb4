"""Who asks, when Schemathesis asks Tessera.

A caller's token ends when a request logs it out, deletes its user or takes its role away, and one request erases all of a
person's data for good; whoever asks next is somebody new. So is the client, which an admin's request may disable or delete.
Admins' and services' paths are asked with their tokens, the rest with a user's.
"""

import base64
import json
import os
import secrets
import urllib.error
import urllib.parse
import urllib.request

import schemathesis

AUTH = os.environ["TESSERA_FUZZ_AUTH"]
ADMIN = json.loads(os.environ["TESSERA_FUZZ_ADMIN"])

tokens = {}


def basic(client):
    return "Basic " + base64.b64encode(client.encode()).decode()


credentials = basic(os.environ["TESSERA_FUZZ_CLIENT"])


def ask(path, body, headers, wanted="access_token"):
    request = urllib.request.Request(AUTH + path, body, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)[wanted]


def make_client():
    client = {"id": "fuzz-" + secrets.token_hex(4), "name": "Fuzz", "scopes": ["events", "introspect"]}
    headers = {"Content-Type": "application/json", "Authorization": "Bearer " + make_token("admin")}
    return basic(f"{client['id']}:{ask('/v1/admin/clients', json.dumps(client).encode(), headers, 'secret')}")


def make_token(kind):
    global credentials
    if kind == "service":
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": "events"}).encode()
        try:
            return ask("/oauth2/token", form, {"Authorization": credentials})
        except urllib.error.HTTPError as error:
            if error.code != 401:
                raise
        credentials = make_client()
        return ask("/oauth2/token", form, {"Authorization": credentials})
    json_body = {"Content-Type": "application/json"}
    if kind == "admin":
        return ask("/v1/login", json.dumps(ADMIN).encode(), json_body)
    account = {"email": secrets.token_hex(8) + "@example.com", "password": secrets.token_hex(12)}
    return ask("/v1/signup", json.dumps(account).encode(), json_body)


def kind_of(path):
    if path.startswith(("/v1/admin/", "/v1/chat/admin/")):
        return "admin"
    return "service" if path == "/v1/events" else "user"


def note(case, response):
    """For scripts/check-answers: one line in one write."""
    path = os.environ.get("TESSERA_TEST_ANSWERS")
    if not path:
        return
    try:
        code = response.json().get("code")
    except (ValueError, AttributeError):
        code = None
    line = f"{case.method} {case.operation.path} {response.status_code} {code or '-'}\n"
    with open(path, "ab", buffering=0) as answers:
        answers.write(line.encode())


@schemathesis.hook
def before_call(context, case, kwargs):
    path = case.operation.path
    if case.headers is None:
        case.headers = {}
    if path in ("/oauth2/introspect", "/oauth2/revoke", "/oauth2/token"):
        case.headers["Authorization"] = credentials
        return
    kind = kind_of(path)
    if kind not in tokens:
        tokens[kind] = make_token(kind)
    case.headers["Authorization"] = "Bearer " + tokens[kind]


@schemathesis.hook
def after_call(context, case, response):
    note(case, response)
    if response.status_code == 401 or b'"user_inactive"' in response.content:
        tokens.pop(kind_of(case.operation.path), None)
