#!/bin/sh
# What `make run` does: the daemon in the foreground, without root, on a UNIX socket and
# an SQLite file below ./run, with a sample configuration that is made there once.
set -eu
cd "$(dirname "$0")/.."

dir=$PWD/run
mkdir -p "$dir/db"
conf=$dir/policyd-rate-limit.conf
if [ ! -f "$conf" ]; then
	cat >"$conf" <<-END
	# Made by \`make run\`; change it as you like, it is kept.
	debug = True
	SOCKET = "$dir/policy"
	socket_permission = 0o600
	pidfile = "$dir/pid"
	control_socket = "$dir/control"
	sqlite_config = {"database": "$dir/db/db.sqlite3"}
	# Three mails in a minute, so that a limit is soon seen.
	limits = [[3, 60], [150, 24 * 3600]]
	END
	# Root's children give their privileges up to somebody: who needs no account made.
	# The configuration stays in a directory of root's.
	if [ "$(id -u)" -eq 0 ]; then
		chown "nobody:$(id -gn nobody)" "$dir/db"
		printf 'user = "nobody"\ngroup = "%s"\n' "$(id -gn nobody)" >>"$conf"
	fi
	chmod 0600 "$conf"
fi

cat <<END
policyd-rate-limit runs here with $conf; stop it with ^C.
Ask it something from another terminal (a fourth time within a minute is refused):

    perl regress/ask.pl run/policy sasl_username=alice recipient_count=1

END
exec build/policyd-rate-limit -f "$conf"
