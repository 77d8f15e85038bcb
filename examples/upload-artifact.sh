#!/usr/bin/env bash
# What a CI job does at its end: store the artifact, then tell that the build is done.
#
#     BROKER_URL=http://localhost:8080 BROKER_TOKEN=dbk_... ./upload-artifact.sh app.tgz builds/jenkins/app/42
#
# To run it again is safe: the same content again is no change, and the same artifact, told again within
# 5 minutes, is one event. What may pass (no connection, 408, 429, 5xx) is tried again, a refusal is not.
set -euo pipefail
artifact=$1
target=$2
path=$target/${artifact##*/}
url=${BROKER_URL:-http://localhost:8080}
curl=(curl --fail-with-body --silent --show-error --retry 5 --retry-connrefused -H "X-Broker-Token: $BROKER_TOKEN")

digest() { sha256sum | cut -d ' ' -f 1; }
sha256=$(digest < "$artifact")
# To a URL that ends with a slash curl adds the name of the file, percent-encoded.
"${curl[@]}" --globoff -T "$artifact" -H "X-Checksum-Sha256: $sha256" "$url/files/$target/"
"${curl[@]}" "$url/events/ci/jenkins/build" \
  -H 'Content-Type: application/json' -H 'X-Event-Type: build.finished' \
  -H "Idempotency-Key: $(digest <<< "$path $sha256")" \
  -d "{\"artifact\": \"${path//\"/\\\"}\", \"sha256\": \"$sha256\"}"
