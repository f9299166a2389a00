#!/bin/sh
# Fetches what the benchmarks compare with: wrk, and nginx and Caddy from Debian's
# packages, unpacked under .run/peers so that no service of the distribution starts.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
dir=$root/.run/peers
if [ ! -x "$dir/usr/sbin/nginx" ] || [ ! -x "$dir/usr/bin/caddy" ] || ! command -v wrk >/dev/null; then
	echo "peers: fetching wrk, nginx and Caddy…"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wrk >/dev/null
	mkdir -p "$dir/deb"
	cd "$dir/deb"
	apt-get download -qq nginx caddy
	for package in *.deb; do dpkg-deb -x "$package" "$dir"; done
fi
"$dir/usr/sbin/nginx" -v
"$dir/usr/bin/caddy" version
