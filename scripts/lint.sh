#!/bin/sh
# lint.sh STATICCHECK: what CI wants to be clean.
set -eu
cd "$(dirname "$0")/.."
unformatted=$(gofmt -l $(git ls-files '*.go' | grep -v '\.pb\.go$'))
if [ -n "$unformatted" ]; then
	echo "lint: run gofmt -w on:" $unformatted
	exit 1
fi
go vet ./...
go run "$1" ./...
echo "lint: clean"
