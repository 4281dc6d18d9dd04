#!/usr/bin/env python3
"""A complete program for homekeep's `command` provider, over a directory: copy it and put your own store in.

usage: VAULT_DIRECTORY=DIR directory.py list|get|put|delete      (see docs/vault-command.md)

Each user's document is one file, named by a hash of the user's name; the file has both."""

import hashlib
import json
import os
import sys
import tempfile

DENIED, READ_ONLY, TOO_LARGE, FULL, TRY_AGAIN, NO_SUCH_USER = 4, 5, 6, 7, 8, 3
MAX_LEN = 1_000_000
DIRECTORY = os.environ.get("VAULT_DIRECTORY", "")


def path_of(user):
    return os.path.join(DIRECTORY, hashlib.sha256(user.encode()).hexdigest() + ".json")


def tag_of(document):
    return hashlib.sha256(document.encode()).hexdigest()


def read(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def list_users():
    users = []
    for name in os.listdir(DIRECTORY):
        if name.endswith(".json"):
            path = os.path.join(DIRECTORY, name)
            kept = read(path)
            time_ms = os.stat(path).st_mtime_ns // 1_000_000
            users.append({"user": kept["user"], "tag": tag_of(kept["document"]), "time_ms": time_ms})
    return {"users": users}


def get(user):
    return {"document": read(path_of(user))["document"]}


def put(user, document):
    if len(document.encode()) > MAX_LEN:
        json.dump({"limit": MAX_LEN}, sys.stdout)
        sys.exit(TOO_LARGE)
    # All or nothing, and on the disk before this program says so: homekeep may be killed at any time.
    descriptor, temporary = tempfile.mkstemp(prefix=".tmp-", dir=DIRECTORY)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"user": user, "document": document}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path_of(user))
    sync_directory()
    return {"tag": tag_of(document)}


def delete(user):
    os.unlink(path_of(user))
    sync_directory()
    return {}


def sync_directory():
    folder = os.open(DIRECTORY, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(folder)
    os.close(folder)


def main():
    os.umask(0o077)
    request = json.load(sys.stdin)
    calls = {
        "list": list_users,
        "get": lambda: get(request["user"]),
        "put": lambda: put(request["user"], request["document"]),
        "delete": lambda: delete(request["user"]),
    }
    if len(sys.argv) != 2 or sys.argv[1] not in calls or not os.path.isdir(DIRECTORY):
        sys.exit(__doc__)
    try:
        json.dump(calls[sys.argv[1]](), sys.stdout)
    except FileNotFoundError:
        sys.exit(NO_SUCH_USER)
    except PermissionError as error:
        print(error, file=sys.stderr)
        sys.exit(DENIED)
    except OSError as error:
        print(error, file=sys.stderr)
        sys.exit({28: FULL, 30: READ_ONLY}.get(error.errno, TRY_AGAIN))


main()
