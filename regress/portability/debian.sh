#!/bin/sh
# debian.sh SUITE ARCH DIR TEST...: what is committed is built in a Debian of its own below
# DIR (debootstrap, MIRROR), warnings as errors, and these tests run there: patterns, from
# the top of the tree. Needs root; leaves no mount behind.
set -eu
suite=$1 arch=$2 dir=$3
shift 3
top=$(cd "$(dirname "$0")/../.." && pwd)
: "${MIRROR:=http://deb.debian.org/debian}"

# A mirror may be busy: three times.
for try in 1 2 3; do
	[ ! -e "$dir/etc/debian_version" ] || break
	rm -rf "$dir"
	debootstrap --variant=minbase --arch="$arch" "$suite" "$dir" "$MIRROR" >"$dir.log" 2>&1 ||
		rm -f "$dir/etc/debian_version"
	[ "$try" -eq 1 ] || sleep 10
done
if [ ! -e "$dir/etc/debian_version" ]; then
	tail -n 20 "$dir.log" >&2
	exit 1
fi
cp /etc/resolv.conf "$dir/etc"
rm -rf "$dir/src"
mkdir "$dir/src"
git -C "$top" archive HEAD | tar -x -C "$dir/src"

# Name spaces of mounts and processes end with this shell, which expands the words below.
# shellcheck disable=SC2016
exec unshare --mount --pid --fork --kill-child sh -euc '
	dir=$1
	shift
	# A root that is a mount of its own lets tests make name spaces inside.
	mount --bind "$dir" "$dir"
	mount -t proc proc "$dir/proc"
	mount --rbind /dev "$dir/dev"
	mount -t tmpfs -o mode=1777 tests "$dir/tmp"
	cat >"$dir/tests" <<-"END"
	set -eu
	cd /src
	./bootstrap packages check || { sleep 10; ./bootstrap packages check; }
	make -j2 -s CFLAGS="-O2 -g -Werror" all tests
	# The patterns stand for files of this tree.
	exec prove -j2 -I regress/lib $*
	END
	exec chroot "$dir" env -i CI=true CMOCKA_MESSAGE_OUTPUT=TAP HOME=/root \
	    LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin sh /tests "$@"
' sh "$dir" "$@"
