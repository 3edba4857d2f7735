#!/bin/sh
# fuzz.sh SECONDS FLAGS SOURCE...: every target of regress/fuzz under clang's libFuzzer
# with the sanitizers, so many seconds each, from its corpus (which it does not change).
# What breaks one is left in build/fuzz and makes it a failure.
set -eu
cd "$(dirname "$0")/.."
seconds=$1
flags=$2
shift 2

out=build/fuzz
mkdir -p "$out/objects"
sanitize='-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link
    -fno-sanitize-recover=all'
objects=
for source in "$@"; do
	object=$out/objects/$(echo "$source" | tr / _).o
	# shellcheck disable=SC2086
	clang $flags $sanitize -c -o "$object" "$source"
	objects="$objects $object"
done
rm -f "$out/rooms.a"
# shellcheck disable=SC2086
ar rcs "$out/rooms.a" $objects

status=0
for target in regress/fuzz/*.c; do
	name=$(basename "$target" .c)
	# shellcheck disable=SC2086
	clang $flags $sanitize -fsanitize=fuzzer -o "$out/$name" "$target" \
	    "$out/rooms.a" $FUZZ_LIBS
	corpus=$out/$name.corpus
	mkdir -p "$corpus"
	seeds=
	[ ! -d "regress/fuzz/corpus/$name" ] || seeds=regress/fuzz/corpus/$name
	# The same way each time, unless FUZZ_SEED says another (0: any). A busy machine
	# may stand still for seconds.
	# shellcheck disable=SC2086
	if "$out/$name" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=2048 \
	    -seed="${FUZZ_SEED:-1}" -artifact_prefix="$out/$name-" "$corpus" $seeds \
	    >"$out/$name.log" 2>&1; then
		echo "$name: $(grep -E '^Done' "$out/$name.log"), $(grep -oE \
		    'cov: [0-9]+ ft: [0-9]+' "$out/$name.log" | tail -n 1)"
	else
		echo "$name: broken, see $out/$name.log"
		tail -n 20 "$out/$name.log"
		status=1
	fi
done
exit $status
