#!/usr/bin/env bash
# Plays the entrypoint of disinto's agents image (docker/agents/entrypoint.sh there): it does as root
# what that one does, in the same order, and works as the user agent. setpriv plays gosu.
set -euo pipefail
umask 077

readonly DISINTO=/home/agent/disinto
readonly CALLS="$DISINTO/docker/agents/forge_calls.py"
readonly HELPER=/home/agent/.git-credentials-helper
readonly LOGFILE=/home/agent/data/agent-entrypoint.log

log() { printf '[%s] %s\n' "$(date -u '+%F %T UTC')" "$*" | tee -a "$LOGFILE"; }
fatal() { log "FATAL: $*"; exit 1; }
as_agent() { setpriv --reuid=agent --regid=agent --init-groups "$@"; }

export USER=agent HOME=/home/agent

# The volumes and the folders of the image belong to the agent (CHOWN), although root goes on writing
# into them (DAC_OVERRIDE) and limits who may read them (FOWNER).
mkdir -p /home/agent/data/logs/dev
chown -R agent:agent /home/agent/data
chmod 700 /home/agent/data/logs
mkdir -p "$DISINTO/state"
touch "$DISINTO/state/.dev-active"
chown -R agent:agent "$DISINTO/state"
log "Agent container starting"
if [ -n "${CLAUDE_CONFIG_DIR:-}" ] && [ ! -d "$CLAUDE_CONFIG_DIR" ]; then
  install -d -m 0700 -o agent -g agent "$CLAUDE_CONFIG_DIR"
fi

# Git logs in with the password, which the helper reads from the environment.
for attempt in 1 2 3 4 5; do
  bot_user=$(python3 -S "$CALLS" whoami) && break
  log "WARNING: Forgejo not reachable (attempt $attempt/5)"
  sleep "$attempt"
done
[ -n "${bot_user:-}" ] || fatal "FORGE_TOKEN is refused"
cat > "$HELPER" <<HELPER_SCRIPT
#!/bin/sh
[ "\$1" = get ] || exit 0
cat > /dev/null
echo "username=$bot_user"
echo "password=\$FORGE_PASS"
HELPER_SCRIPT
chmod 755 "$HELPER"
chown agent:agent "$HELPER"
as_agent git config --global credential.helper "$HELPER"
as_agent git config --global --add safe.directory '*'
as_agent git config --global user.name "$bot_user"
python3 -S "$CALLS" check-password "$bot_user" || fatal "FORGE_PASS is refused"
log "Git credential helper verified: $bot_user"

# The project file names the project, its repository and the one of operations.
toml=$(compgen -G "$DISINTO/projects/*.toml" | head -1) || fatal "no project file"
value() { python3 -c 'import sys, tomllib; print(tomllib.load(open(sys.argv[1], "rb"))[sys.argv[2]])' "$toml" "$1"; }
PROJECT_NAME=$(value name)
PROJECT_REPO_ROOT="/home/agent/repos/$PROJECT_NAME"
clone() { # REPOSITORY FOLDER
  [ -d "$2/.git" ] || as_agent git clone --quiet "$FORGE_URL/$1.git" "$2" || return
  log "cloned $1"
}
chown agent:agent /home/agent/repos
clone "$FORGE_REPO" "$PROJECT_REPO_ROOT" || fatal "cannot clone $FORGE_REPO"
clone "$(value ops_repo)" "$PROJECT_REPO_ROOT-ops" || log "cannot clone the ops repo"

# A stop ends what runs as the agent (KILL).
stop() {
  kill "$child" && exit 0
  exit 1
}
trap stop TERM

log "Entering polling loop (interval: ${POLL_INTERVAL}s, roles: ${AGENT_ROLES})"
while true; do
  as_agent python3 -S "$CALLS" poll >> /home/agent/data/logs/dev-poll.log 2>&1 || log "poll failed"
  as_agent sleep "$POLL_INTERVAL" &
  child=$!
  wait "$child"
done
