# Databricks notebook source
# MAGIC %md
# MAGIC # homekeep: save every home on this cluster's driver
# MAGIC
# MAGIC Schedule it as a job every few minutes **on the cluster whose homes it saves** (an existing all-purpose cluster: a job
# MAGIC cluster has other homes), run as an administrator. `docs/databricks.md` says what has to be there before.

# COMMAND ----------

import os
import subprocess

# Where the program and its configuration are; the scope and key that hold the repository's key file.
FOLDER = os.environ.get("HOMEKEEP_FOLDER", "/Volumes/main/homekeep/admin")
KEY_SCOPE, KEY = "homekeep-key", "key"
# Forget by the policy in homekeep.toml, and give back the space, once in so many runs.
PRUNE_EVERY = 100


def homekeep(*arguments):
    """Runs homekeep with the key in memory only, prints what it says, and returns its exit code."""
    context = dbutils.notebook.entry_point.getDbutils().notebook().getContext()
    key = os.memfd_create("homekeep-key")
    try:
        os.fchmod(key, 0o600)
        os.write(key, dbutils.secrets.get(scope=KEY_SCOPE, key=KEY).encode())
        environment = dict(
            os.environ,
            HOMEKEEP_CONFIG=f"{FOLDER}/homekeep.toml",
            HOMEKEEP_KEY_FILE=f"/proc/self/fd/{key}",
            DATABRICKS_HOST=context.apiUrl().get(),
            DATABRICKS_TOKEN=context.apiToken().get(),
        )
        result = subprocess.run(
            [f"{FOLDER}/homekeep", *arguments],
            env=environment,
            pass_fds=[key],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    finally:
        os.close(key)
    print(result.stdout)
    return result.returncode


# COMMAND ----------

code = homekeep("backup")
# 3: a snapshot was taken, and some files have problems, which are listed above. 11: the run before is still at it.
if code not in (0, 3, 11):
    raise RuntimeError(f"homekeep backup ended with {code}; the output above says why")

# COMMAND ----------

import random

if random.randrange(PRUNE_EVERY) == 0:
    code = homekeep("forget", "--prune")
    if code not in (0, 3, 11):
        raise RuntimeError(f"homekeep forget ended with {code}; the output above says why")
