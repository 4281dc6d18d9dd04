#!/bin/bash
# Databricks cluster-scoped init script: brings everyone back on a new driver, in the background, while the cluster starts.
# Keep it on the same volume as the program: only then are volumes there while it runs. It never fails the cluster's start.
#
# It needs, in $HOMEKEEP_FOLDER: homekeep (the program), homekeep.toml, key (the repository's key file) and, where the vault
# is Databricks Secrets, databrickscfg (a profile of a service principal). All of it for administrators only.
HOMEKEEP_FOLDER=${HOMEKEEP_FOLDER:-/Volumes/main/homekeep/admin}
HOMEKEEP_BIN=${HOMEKEEP_BIN:-/usr/local/bin/homekeep}
HOMEKEEP_LOG=${HOMEKEEP_LOG:-/var/log/homekeep-restore.log}
HOMEKEEP_WAIT=${HOMEKEEP_WAIT:-30m}

# Homes are on the driver.
[[ "${DB_IS_DRIVER:-}" = "TRUE" ]] || exit 0

if ! install -m 0755 "$HOMEKEEP_FOLDER/homekeep" "$HOMEKEEP_BIN"; then
  echo "homekeep: the program is not in $HOMEKEEP_FOLDER; nobody is brought back" >&2
  exit 0
fi
export HOMEKEEP_CONFIG="$HOMEKEEP_FOLDER/homekeep.toml"
export HOMEKEEP_KEY_FILE="$HOMEKEEP_FOLDER/key"
export DATABRICKS_CONFIG_FILE="$HOMEKEEP_FOLDER/databrickscfg"

# In the background, since accounts are made after init scripts have ended; --best-effort tells the truth and ends with 0.
nohup setsid "$HOMEKEEP_BIN" restore --all-homes "--wait-for-users=$HOMEKEEP_WAIT" --best-effort \
  >"$HOMEKEEP_LOG" 2>&1 </dev/null &
exit 0
