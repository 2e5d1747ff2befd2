#!/bin/sh
# Writes the settings in the environment into app.ini, then serves.
set -eu
umask 0027
mkdir -p "$HOME" "$(dirname "$GITEA_APP_INI")"
touch "$GITEA_APP_INI"
gitea config edit-ini --in-place --apply-env
exec gitea web
