#!/usr/bin/env bash
# What a CI job does at its end: store the artifact, then tell that the build is done.
#
#     BROKER_URL=http://localhost:8080 BROKER_TOKEN=dbk_... ./upload-artifact.sh app.tgz builds/jenkins/app/42
#
# Retries are safe: the same content again is no change, and the same event id is stored once.
set -euo pipefail
artifact=$1
target=$2
name=$(basename "$artifact")
url=${BROKER_URL:-http://localhost:8080}
curl=(curl --fail-with-body --silent --show-error --retry 5 --retry-all-errors -H "X-Broker-Token: $BROKER_TOKEN")

sha256=$(sha256sum "$artifact" | cut -d ' ' -f 1)
"${curl[@]}" -T "$artifact" -H "X-Checksum-Sha256: $sha256" "$url/files/$target/$name"
echo
"${curl[@]}" "$url/events/ci/jenkins/build" \
  -H 'Content-Type: application/json' -H 'X-Event-Type: build.finished' \
  -H "Idempotency-Key: $target" \
  -d "{\"artifact\": \"$target/$name\", \"sha256\": \"$sha256\"}"
echo
