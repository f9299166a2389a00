#!/bin/sh
# Runs every benchmark that is a command under bench/, one after another.
set -eu
cd "$(dirname "$0")/.."
for dir in bench/*/; do
	[ -e "$dir/main.go" ] || continue
	echo "bench: $dir"
	go run "./$dir"
done
