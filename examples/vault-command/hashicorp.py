#!/usr/bin/env python3
"""HashiCorp Vault (KV version 2) for homekeep's `command` provider, by its own program `vault`.

usage: hashicorp.py list|get|put|delete      (see docs/vault-command.md)

VAULT_ADDR, VAULT_TOKEN and the like are `vault`'s own variables. Documents go to HOMEKEEP_VAULT_PATH (default `homekeep`)
below HOMEKEEP_VAULT_MOUNT (default `secret`), one secret per user. No document is ever an argument of `vault`."""

import json
import os
import subprocess
import sys

NO_SUCH_USER, DENIED, TRY_AGAIN = 3, 4, 8
MOUNT = "-mount=" + os.environ.get("HOMEKEEP_VAULT_MOUNT", "secret")
PATH = os.environ.get("HOMEKEEP_VAULT_PATH", "homekeep")


def vault(*arguments, text=""):
    """What `vault kv …` prints; None where it found nothing."""
    done = subprocess.run(["vault", "kv", *arguments], input=text, capture_output=True, encoding="utf-8")
    if done.returncode == 0:
        return done.stdout
    if "No value found" in done.stderr:
        return None
    print(done.stderr, file=sys.stderr)
    sys.exit(DENIED if "permission denied" in done.stderr else TRY_AGAIN)


def secret(user):
    # Names of users may hold what a path cannot.
    return f"{PATH}/{user.encode().hex()}"


def list_users():
    keys = json.loads(vault("list", MOUNT, "-format=json", PATH) or "[]")
    return {"users": [{"user": bytes.fromhex(key).decode()} for key in keys]}


def get(user):
    found = vault("get", MOUNT, "-format=json", secret(user))
    # Of a deleted version, `vault` prints what it was and no data.
    data = json.loads(found)["data"]["data"] if found else None
    if not data:
        sys.exit(NO_SUCH_USER)
    return {"document": data["document"]}


def put(user, document):
    vault("put", MOUNT, secret(user), "-", text=json.dumps({"document": document}))
    return {}


def delete(user):
    # With all its versions, so that it is no longer listed.
    vault("metadata", "delete", MOUNT, secret(user))
    return {}


def main():
    request = json.load(sys.stdin)
    calls = {
        "list": list_users,
        "get": lambda: get(request["user"]),
        "put": lambda: put(request["user"], request["document"]),
        "delete": lambda: delete(request["user"]),
    }
    if len(sys.argv) != 2 or sys.argv[1] not in calls:
        sys.exit(__doc__)
    json.dump(calls[sys.argv[1]](), sys.stdout)


main()
