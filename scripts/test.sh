#!/bin/sh
# All tests. The packages first, with the race detector; then the story, which
# has the machine to itself, as it judges what a busy machine would blur.
set -eu
cd "$(dirname "$0")/.."
export INTERLOCK_HAPROXY="$PWD/.run/haproxy"

failed=0
echo "test: packages"
# shellcheck disable=SC2046 # a list of packages
go test -race -timeout 20m $(go list ./... | grep -v '/test/e2e') || failed=1
echo "test: the story on a real Swarm"
go test -v -count=1 -timeout 45m ./test/e2e || failed=1
if [ $failed = 0 ]; then echo "test: all passed"; else echo "test: FAILED"; fi
exit $failed
