#!/bin/sh
# Gitea with this container's settings, for the server and for `docker exec`.
exec /usr/local/lib/gitea --config "$GITEA_APP_INI" "$@"
