#!/bin/sh
# Runs the benchmarks under bench/, one after another: all of them, or those that
# are named.
#
#   scripts/bench.sh
#   scripts/bench.sh compile throughput
set -eu
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || set -- compile check throughput convergence
for name; do
	echo "bench: $name (docs/benchmarks.md says what it measures)"
	[ "$name" != throughput ] || scripts/peers.sh
	go run "./bench/$name"
done
