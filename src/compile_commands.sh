#!/bin/sh
# compile_commands.sh DIRECTORY SOURCE... -- COMPILER FLAG...: the compilation database of
# these sources, in JSON, each source once.
set -eu
directory=$1
shift

# A string of JSON.
quoted()
{
	printf '"%s"' "$(printf %s "$1" | sed 's/[\\"]/\\&/g')"
}

sources=
while [ "$1" != -- ]; do
	sources="$sources
$1"
	shift
done
shift
arguments=
for argument in "$@"; do
	arguments="$arguments$(quoted "$argument"), "
done

echo '['
comma=
for source in $(printf '%s\n' "$sources" | sort -u); do
	printf '%s{"directory": %s, "file": %s, "arguments": [%s"-c", %s]}' "$comma" \
	    "$(quoted "$directory")" "$(quoted "$source")" "$arguments" \
	    "$(quoted "$source")"
	comma=',
'
done
printf '\n]\n'
