#!/bin/sh
# Gets what the build and the tests need on Debian 12 and newer: packages, and
# under .run/ an HAProxy of Debian trixie (3.0 LTS), whichever HAProxy the
# machine itself has. It is idempotent: what is there is left alone.
set -eu
cd "$(dirname "$0")/.."

say() { echo "tools: $*"; }

# need PACKAGE... installs the packages that are missing.
need() {
	missing=
	for package in "$@"; do
		dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	say "installing$missing"
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q update
	# Services are not started: the tests and `make up` run daemons of their own.
	policy=/usr/sbin/policy-rc.d
	if [ ! -e $policy ]; then
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod +x $policy
		trap 'rm -f /usr/sbin/policy-rc.d' EXIT
	fi
	# shellcheck disable=SC2086 # a list of names
	apt-get -q -y install --no-install-recommends $missing
}

# rootfs NAME PACKAGES makes .run/NAME.tar, a root file system of trixie without
# running anything of it.
rootfs() {
	[ -s ".run/$1.tar" ] && return 0
	say "fetching the root file system of $1"
	mmdebstrap --quiet --variant=extract --include="$2" trixie ".run/$1.tar.new.tar"
	mv ".run/$1.tar.new.tar" ".run/$1.tar"
}

# The wrapper starts HAProxy with the loader and libraries of its own root.
# HAProxy's master re-executes argv[0] on each reload, so argv[0] is the wrapper.
wrapper() {
	root=$PWD/.run/haproxy-root
	loader=$(cd "$root" && find usr/lib/*-linux-gnu* usr/lib64 -maxdepth 1 -name 'ld-linux-*.so.*' 2>/dev/null | head -n 1)
	library=$(dirname "$(cd "$root" && find usr/lib -name libc.so.6 | head -n 1)")
	cat >.run/haproxy.new <<WRAPPER
#!/bin/sh
exec "$root/$loader" --argv0 "$PWD/.run/haproxy" --library-path "$root/$library" "$root/usr/sbin/haproxy" "\$@"
WRAPPER
	chmod +x .run/haproxy.new
	mv .run/haproxy.new .run/haproxy
}

[ "$(id -u)" = 0 ] || { say "must run as root: nodes are network namespaces" >&2; exit 1; }
mkdir -p .run
need docker.io iptables iproute2 mmdebstrap debian-archive-keyring util-linux gcc libc6-dev
rootfs haproxy haproxy,base-files,netbase
if [ ! -x .run/haproxy-root/usr/sbin/haproxy ]; then
	rm -rf .run/haproxy-root .run/haproxy-root.new
	mkdir .run/haproxy-root.new
	tar -xf .run/haproxy.tar -C .run/haproxy-root.new
	mv .run/haproxy-root.new .run/haproxy-root
fi
wrapper
say "$(.run/haproxy -v | head -n 1)"
