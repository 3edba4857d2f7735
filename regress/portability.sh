#!/bin/sh
# portability.sh DIR: every source compiled, and every program that needs nothing but the
# C library linked, by DIR's openbsd-cc, freebsd-cc and netbsd-cc, warnings as errors.
set -eu
cd "$(dirname "$0")/.."
cc=${1:?usage: portability.sh directory-of-compilers}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for os in OpenBSD FreeBSD NetBSD; do
	name=$(echo "$os" | tr '[:upper:]' '[:lower:]')-cc
	if [ ! -x "$cc/$name" ]; then
		echo "portability: $cc/$name is not there" >&2
		exit 1
	fi
	mkdir "$work/$os"
	cp -R GNUmakefile src compat regress "$work/$os"
	(
		cd "$work/$os"
		find . -name '*.[do]' -exec rm -f {} +
		make -s -j2 CC="$cc/$name" OS=$os CFLAGS='-O1 -Werror' \
		    LEDGERS='sqlite pgsql mysql' objects portable
	)
	echo "$os: compiles and links"
done
