"""The official client against the workspace that the tests run: `exercise` every call, or `dump` what others put.

Who it is and where comes from DATABRICKS_HOST, DATABRICKS_TOKEN and the like."""

import base64
import json
import sys

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import InvalidParameterValue, NotFound, PermissionDenied, ResourceAlreadyExists
from databricks.sdk.errors import ResourceDoesNotExist
from databricks.sdk.service.workspace import AclPermission, ScopeBackendType


def refused(kind, call, **arguments):
    try:
        call(**arguments)
    except kind as error:
        return error
    raise AssertionError(f"{call} was not refused with {kind}")


def value(client, scope, key):
    return base64.b64decode(client.secrets.get_secret(scope=scope, key=key).value)


def exercise(client):
    secrets = client.secrets
    assert list(secrets.list_scopes()) == []
    secrets.create_scope(scope="sdk@scope.x")
    secrets.create_scope(scope="second", initial_manage_principal="users")
    refused(ResourceAlreadyExists, secrets.create_scope, scope="SECOND")
    refused(InvalidParameterValue, secrets.create_scope, scope="no slash/")
    scopes = {scope.name: scope.backend_type for scope in secrets.list_scopes()}
    assert scopes == {"sdk@scope.x": ScopeBackendType.DATABRICKS, "second": ScopeBackendType.DATABRICKS}

    scope = "sdk@scope.x"
    assert list(secrets.list_secrets(scope=scope)) == []
    secrets.put_secret(scope=scope, key="text", string_value="line\n\u00fc")
    secrets.put_secret(scope=scope, key="bytes", bytes_value=base64.b64encode(b"\x01\x02\xff").decode())
    assert value(client, scope, "text") == "line\n\u00fc".encode()
    assert value(client, scope, "bytes") == b"\x01\x02\xff"
    first = {secret.key: secret.last_updated_timestamp for secret in secrets.list_secrets(scope=scope)}
    assert set(first) == {"text", "bytes"} and all(isinstance(time, int) for time in first.values())
    secrets.put_secret(scope=scope, key="text", string_value="replaced")
    assert value(client, scope, "text") == b"replaced"
    second = {secret.key: secret.last_updated_timestamp for secret in secrets.list_secrets(scope=scope)}
    assert second["text"] > first["text"] and second["bytes"] == first["bytes"]

    refused(InvalidParameterValue, secrets.put_secret, scope=scope, key="a@b", string_value="x")
    refused(InvalidParameterValue, secrets.put_secret, scope=scope, key="k", string_value="x" * 128_001)
    refused(ResourceDoesNotExist, secrets.put_secret, scope="none", key="k", string_value="x")
    refused(NotFound, secrets.get_secret, scope=scope, key="none")
    refused(ResourceDoesNotExist, lambda: list(secrets.list_secrets(scope="none")))
    secrets.delete_secret(scope=scope, key="bytes")
    refused(ResourceDoesNotExist, secrets.delete_secret, scope=scope, key="bytes")

    secrets.put_acl(scope=scope, principal="readers", permission=AclPermission.READ)
    acls = {acl.principal: acl.permission for acl in secrets.list_acls(scope=scope)}
    assert acls == {"admin@example.org": AclPermission.MANAGE, "readers": AclPermission.READ}
    assert secrets.get_acl(scope=scope, principal="readers").permission == AclPermission.READ
    secrets.delete_acl(scope=scope, principal="readers")
    refused(NotFound, secrets.get_acl, scope=scope, principal="readers")

    secrets.put_secret(scope="second", key="one", string_value="x")
    secrets.put_secret(scope="second", key="two", string_value="x")
    # The client goes by the status where it does not know the code.
    full = refused(PermissionDenied, secrets.put_secret, scope="second", key="three", string_value="x")
    assert full.error_code == "RESOURCE_LIMIT_EXCEEDED", full.error_code
    secrets.put_secret(scope="second", key="two", string_value="y")
    secrets.delete_scope(scope="second")
    refused(ResourceDoesNotExist, secrets.delete_scope, scope="second")


def dump(client):
    found = {}
    for scope in client.secrets.list_scopes():
        for secret in client.secrets.list_secrets(scope=scope.name):
            found[f"{scope.name}/{secret.key}"] = value(client, scope.name, secret.key).decode()
    json.dump(found, sys.stdout)


{"exercise": exercise, "dump": dump}[sys.argv[1]](WorkspaceClient())
