#!/bin/sh
# hardening.sh CC FLAGS compile|link: those hardening flags that the compiler and linker
# know, on one line. FLAGS are the packager's own: what is in them is not set again.
# A probe compiles and links, and never runs. The answer is kept in build/.
set -eu
cc=$1 flags=$2 what=$3
sum=$(printf '%s\n' "$cc" "$flags" "$PATH" | cksum | tr -d ' \t')
kept=build/hardening/$sum.$what
if [ -r "$kept" ]; then
	cat "$kept"
	exit 0
fi
work=$(mktemp -d) || exit 0
trap 'rm -rf "$work"' EXIT
cat >"$work/probe.c" <<'END'
#include <string.h>
int
main(int argc, char **argv)
{
	char	a[64];

	memset(a, argc, sizeof(a));
	return a[argc] + argv[0][0];
}
END

# knows FLAG...: without a warning.
knows()
{
	# shellcheck disable=SC2086
	$cc $flags -Werror "$@" -o "$work/probe" "$work/probe.c" >/dev/null 2>&1
}

out=
try()
{
	# shellcheck disable=SC2086
	! knows $out "$@" || out="$out $*"
}

case $what in
compile)
	try -fstack-protector-strong
	try -fstack-clash-protection
	try -fcf-protection=full
	try -mbranch-protection=standard
	# It works on optimised code alone, and beside no sanitizer.
	case $flags in
	*_FORTIFY_SOURCE*|*-O0*|*-fsanitize*) ;;
	*-O*)	if knows -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3; then
			try -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
		else
			try -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
		fi ;;
	esac ;;
link)
	for flag in -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack \
	    -Wl,-z,separate-code; do
		try $flag
	done ;;
esac
if mkdir -p build/hardening 2>/dev/null; then
	echo "$out" >"$work/out"
	cp "$work/out" "$kept.$$" 2>/dev/null && mv "$kept.$$" "$kept"
fi
echo "$out"
