"""Makes clients of the running services with openapi-python-client, from the documents that they serve, and uses them.

    generated_client.py AUTH_URL CHAT_URL

Signs up, reads the caller's user, stores a conversation and reads it back, and is refused with a problem that has its
type. Everything that the generator cannot read of a document is listed here, so that nothing is added to it unseen.
"""

import importlib
import pathlib
import re
import subprocess
import sys
import tempfile
import urllib.request

auth_url, chat_url = sys.argv[1:3]
folder = tempfile.TemporaryDirectory(prefix="tessera-generated-")
sys.path.insert(0, folder.name)
# Answers that are no JSON: the contract itself, and streams and exports.
UNREAD = {"/openapi.yaml", "/v1/chat/export"}


def generate(name, url):
    path = pathlib.Path(folder.name)
    with urllib.request.urlopen(url + "/openapi.yaml", timeout=30) as answer:
        text = answer.read().decode()
    document = path / f"{name}.yaml"
    document.write_text(text)
    assert f"title: Tessera {name}" in text and f"url: {url}" in text, text[:2000]
    generator = pathlib.Path(sys.executable).with_name("openapi-python-client")
    run = subprocess.run(
        [generator, "generate", "--path", document, "--output-path", path / name, "--meta", "none"],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    unread = set(re.findall(r"WARNING parsing [A-Z]+ (\S+)", run.stdout))
    assert unread <= UNREAD and "ERROR" not in run.stdout, run.stdout
    # A type without a name gets one from its place, which changes with its place.
    kinds = {file.stem for file in (path / name / "models").glob("*.py")}
    assert len(kinds) > 20, kinds
    return kinds


def module(name):
    return importlib.import_module(name)


kinds = generate("auth", auth_url)
assert {"user", "session", "role", "user_kind", "event_kind", "field_error", "problem"} <= kinds, kinds
models = module("auth.models")
client = module("auth").Client(base_url=auth_url)
signup = models.Signup(email="generated@example.com", password="correct horse battery staple", name="Gen")
grant = module("auth.api.passwords.sign_up").sync(client=client, body=signup)
assert isinstance(grant, models.Grant), grant

me_api = module("auth.api.users.get_me")
caller = module("auth").AuthenticatedClient(base_url=auth_url, token=grant.access_token)
me = me_api.sync(client=caller)
assert isinstance(me, models.User), me
assert (me.email, me.name, me.role, me.kind) == ("generated@example.com", "Gen", models.Role.USER, models.UserKind.USER), me

taken = module("auth.api.passwords.sign_up").sync_detailed(client=client, body=signup)
assert taken.status_code == 409 and taken.parsed.code == "email_taken", taken
short = models.Signup(email="other@example.com", password="short")
refused = module("auth.api.passwords.sign_up").sync_detailed(client=client, body=short)
assert refused.status_code == 400 and refused.parsed.errors[0].params.min_ == 8, refused

kinds = generate("chat", chat_url)
assert {"conversation", "message", "message_role", "message_status", "vote_value", "quota_problem"} <= kinds, kinds
models = module("chat.models")
caller = module("chat").AuthenticatedClient(base_url=chat_url, token=grant.access_token)
draft = models.ConversationCreate(
    title="Made by a client that a program wrote",
    messages=[models.MessageCreate(role=models.MessageRole.USER, content="Hello")],
)
made = module("chat.api.conversations.create_conversation").sync_detailed(client=caller, body=draft)
assert made.status_code == 201, made
read = module("chat.api.conversations.get_conversation").sync(client=caller, id=made.parsed.id)
assert (read.title, read.message_count) == (draft.title, 1), read
listed = module("chat.api.conversations.list_conversations").sync(client=caller)
assert [row.id for row in listed.data] == [made.parsed.id], listed
print("the generated clients work")
