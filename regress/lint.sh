#!/bin/sh
# The manual pages under mandoc's lint, the shell scripts under shellcheck.
set -eu
cd "$(dirname "$0")/.."
status=0
for page in man/*.[58]; do
	# Which pages a system has installed says nothing about ours.
	out=$(mandoc -T lint -W style "$page" 2>&1 |
	    grep -v -e 'referenced manual not found' -e 'mandoc.db lacks') || true
	[ -z "$out" ] || { echo "$out"; status=1; }
done
shellcheck -s sh bootstrap packaging/apt-install regress/*.sh regress/portability/bsd-setup \
    regress/portability/*.sh src/*.sh || status=1
shellcheck .ci/run || status=1
exit $status
