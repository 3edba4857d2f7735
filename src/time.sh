#!/bin/sh
# time.sh CC FLAGS STAMP: stops a build whose FLAGS give time_t another size than the
# compiler does by itself, with which a system's libraries are built: struct stat and
# struct timeval are passed to them. Compiles only.
set -eu
cc=$1 flags=$2 stamp=$3
plain=
for flag in $flags; do
	case $flag in
	-D_TIME_BITS=*)	;;
	*)		plain="$plain $flag" ;;
	esac
done

# bytes FLAG...
bytes()
{
	for n in 4 8; do
		# shellcheck disable=SC2086
		if printf '#include <time.h>\nint a[sizeof(time_t) == %d ? 1 : -1];\n' $n |
		    $cc -D_FILE_OFFSET_BITS=64 "$@" -x c -S -o /dev/null - 2>/dev/null; then
			echo $n
			return
		fi
	done
}

# shellcheck disable=SC2086
ours=$(bytes $flags) theirs=$(bytes $plain)
if [ "$ours" != "$theirs" ]; then
	echo "time_t has $ours bytes with $flags, but $theirs in the libraries" >&2
	exit 1
fi
mkdir -p "${stamp%/*}"
: >"$stamp"
