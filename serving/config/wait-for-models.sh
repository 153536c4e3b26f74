#!/bin/bash
# Wait until every model of models.config has a version in the store. TensorFlow Serving would wait as well, but
# with its ports closed: no probe could tell waiting for a training job from a start that hangs.
set -u
cd "$(dirname "$0")" || exit 1
for base_path in $(sed -n 's/^ *base_path: *"\([^"]*\)".*/\1/p' models.config); do
  until compgen -G "$base_path/[0-9]*/saved_model.pb" >/dev/null; do
    echo "waiting for a version in $base_path"
    sleep "${WAIT_SECONDS:-5}"
  done
done
