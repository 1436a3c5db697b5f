#!/bin/sh
# Tells somebody about each pod that failed, with nothing but the `nats` CLI and jq.
#
#   ALERT='curl -fsS -d @- https://chat.example/hook' ./alert-failed-pods.sh
#
# CLUSTER    the cluster's name (default: default)
# CONTEXT    the context of the nats CLI (default: swain-$CLUSTER, as `swain nats-context --save` makes it)
# ALERT      a shell command that gets one line of text on its standard input (default: cat)
set -eu

CLUSTER="${CLUSTER:-default}"
CONTEXT="${CONTEXT:-swain-$CLUSTER}"
ALERT="${ALERT:-cat}"

# Every message of the feed is one CloudEvent; with --raw the CLI prints its JSON and nothing else.
nats --context "$CONTEXT" sub --raw "swain.$CLUSTER.feed.*.pod.*.failed" |
  jq --unbuffered -r 'select(.data) | "\(.time) pod \(.data.namespace)/\(.data.name) failed: \(.data.observed.reason) \(.data.observed.message)"' |
  while IFS= read -r line; do
    # An alert that cannot be sent must not end the watch.
    printf '%s\n' "$line" | sh -c "$ALERT" || printf 'the alert could not be sent: %s\n' "$line" >&2
  done
