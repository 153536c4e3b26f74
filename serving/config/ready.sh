#!/bin/bash
# Succeed if every model of models.config, or every one that is named, has a version that is available.
# TensorFlow Serving answers its status route with 200 in any state, so the state itself is read; its image has
# neither curl nor wget, so bash speaks HTTP. Usage: ready.sh [PORT [MODEL...]]
set -u
cd "$(dirname "$0")" || exit 1
port=${1:-8501}
shift
[ $# -gt 0 ] || set -- $(sed -n 's/^ *name: *"\([^"]*\)".*/\1/p' models.config)
for model; do
  exec 3<>"/dev/tcp/localhost/$port" || exit 1
  printf 'GET /v1/models/%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$model" >&3
  grep -Eq '"state": *"AVAILABLE"' <&3 || { echo "$model has no available version"; exit 1; }
  exec 3>&-
done
