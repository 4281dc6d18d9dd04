# Databricks notebook source
# MAGIC %md
# MAGIC # homekeep: everyone back on a new driver
# MAGIC
# MAGIC Run it once, as an administrator, when the cluster has started and the server with its users is coming up. Users that
# MAGIC do not exist yet are waited for; run it again for those who come later. What is there already and newer is kept.

# COMMAND ----------

import os
import subprocess

FOLDER = os.environ.get("HOMEKEEP_FOLDER", "/Volumes/main/homekeep/admin")
KEY_SCOPE, KEY = "homekeep-key", "key"
WAIT = os.environ.get("HOMEKEEP_WAIT", "15m")


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

code = homekeep("restore", "--all-homes", f"--wait-for-users={WAIT}")
# 3: some homes, or some files, did not come back; each is listed above.
if code not in (0, 3):
    raise RuntimeError(f"homekeep restore ended with {code}; the output above says why")
