"""Who asks, when Schemathesis asks Tessera.

A caller's token ends when a request logs it out, deletes its user or takes its role away, and one request erases all of a
person's data for good; whoever asks next is somebody new. Admins' and services' paths are asked with their tokens, the rest with a user's.
"""

import base64
import json
import os
import secrets
import urllib.parse
import urllib.request

import schemathesis

AUTH = os.environ["TESSERA_FUZZ_AUTH"]
ADMIN = json.loads(os.environ["TESSERA_FUZZ_ADMIN"])
CLIENT = os.environ["TESSERA_FUZZ_CLIENT"]
BASIC = "Basic " + base64.b64encode(CLIENT.encode()).decode()

tokens = {}


def ask(path, body, headers):
    request = urllib.request.Request(AUTH + path, body, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["access_token"]


def make_token(kind):
    if kind == "service":
        form = urllib.parse.urlencode({"grant_type": "client_credentials", "scope": "events"}).encode()
        return ask("/oauth2/token", form, {"Authorization": BASIC})
    json_body = {"Content-Type": "application/json"}
    if kind == "admin":
        return ask("/v1/login", json.dumps(ADMIN).encode(), json_body)
    account = {"email": secrets.token_hex(8) + "@example.com", "password": secrets.token_hex(12)}
    return ask("/v1/signup", json.dumps(account).encode(), json_body)


def kind_of(path):
    if path.startswith(("/v1/admin/", "/v1/chat/admin/")):
        return "admin"
    return "service" if path == "/v1/events" else "user"


@schemathesis.hook
def before_call(context, case, kwargs):
    path = case.operation.path
    if case.headers is None:
        case.headers = {}
    if path in ("/oauth2/introspect", "/oauth2/revoke", "/oauth2/token"):
        case.headers["Authorization"] = BASIC
        return
    kind = kind_of(path)
    if kind not in tokens:
        tokens[kind] = make_token(kind)
    case.headers["Authorization"] = "Bearer " + tokens[kind]


@schemathesis.hook
def after_call(context, case, response):
    if response.status_code == 401 or b'"user_inactive"' in response.content:
        tokens.pop(kind_of(case.operation.path), None)
