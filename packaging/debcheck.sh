#!/bin/sh
# make debcheck: the packages of make deb in a Debian of their own, made with debootstrap:
# installed, asked by a real Postfix, purged, and installed over Debian's package of the
# Python program, whose configuration and counts must stay; and once more where systemd is
# process 1, there also back to it. Needs root; no process and no port is seen outside.
# The mirror and the suite are this machine's own, or as MIRROR and SUITE say.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
debs=$top/build/deb
tmp=${TMPDIR:-/tmp}

say()
{
	echo "== $*"
}

fail()
{
	echo "debcheck: $*" >&2
	exit 1
}

# --- in the new system, without a network ---

gone()
{
	for path in "$@"; do
		[ ! -e "$path" ] || fail "$path is still there"
	done
}

ask()
{
	perl /check/ask.pl "${socket:-/var/spool/postfix/ratelimit/policy}" "sasl_username=$1" \
	    "protocol_state=${stage:-RCPT}" "instance=$2"
}

# The Python program, with the stage at which its configuration counts.
install_old()
{
	dpkg -i /check/old/*.deb
	stage=RCPT
	! grep -q '^count_mode: [12]' /etc/policyd-rate-limit.yaml || stage=DATA
}

fresh()
{
	say 'a fresh installation'
	apt-get install -y -qq --no-install-recommends /check/new/*.deb
	cmp /etc/policyd-rate-limit.conf /usr/share/policyd-rate-limit/policyd-rate-limit.conf
	getent passwd policyd-rate-limit >/dev/null || fail 'there is no user'
	[ "$(stat -c %U:%G:%a /var/spool/postfix/ratelimit)" = root:postfix:750 ] ||
		fail 'the directory of the socket is not for Postfix only'
	for backend in pgsql mysql; do
		[ -x /usr/libexec/policyd-rate-limit/ledger-$backend ] || fail "no $backend"
	done
	sh /check/tests/postfix
	sh /etc/cron.daily/policyd-rate-limit

	# Without a pid file, and with a configuration that is wrong when it is to stop.
	/etc/init.d/policyd-rate-limit stop
	! pgrep -x policyd-rate-li >/dev/null || fail 'the daemon is not stopped'
	echo 'pidfile = None' >>/etc/policyd-rate-limit.conf
	/etc/init.d/policyd-rate-limit start
	/etc/init.d/policyd-rate-limit reload
	/etc/init.d/policyd-rate-limit status
	echo 'limits = [[' >>/etc/policyd-rate-limit.conf
	/etc/init.d/policyd-rate-limit stop
	! pgrep -x policyd-rate-li >/dev/null || fail 'it is not stopped without a pid file'
	sed -i '/^pidfile = None/d; /^limits = \[\[$/d' /etc/policyd-rate-limit.conf
	/etc/init.d/policyd-rate-limit start

	say 'removed and purged'
	apt-get purge -y -qq policyd-rate-limit policyd-rate-limit-pgsql \
	    policyd-rate-limit-mysql
	gone /etc/policyd-rate-limit.conf /etc/init.d/policyd-rate-limit \
	    /etc/cron.daily/policyd-rate-limit /var/lib/policyd-rate-limit \
	    /usr/libexec/policyd-rate-limit /var/spool/postfix/ratelimit \
	    /usr/share/policyd-rate-limit
	! pgrep -x policyd-rate-li >/dev/null || fail 'the daemon still runs'
}

upgrade()
{
	say 'over the Python program'
	install_old
	start-stop-daemon --stop --quiet --oknodo --retry 30 --user policyd-rate-limit \
	    --pidfile /var/run/policyd-rate-limit/policyd-rate-limit.pid
	sed -i 's/- \[10, 60\].*/- [3, 600]/' /etc/policyd-rate-limit.yaml
	/etc/init.d/policyd-rate-limit start
	n=0
	until [ "$(ask nobody "try$n" 2>/dev/null)" = action=dunno ]; do
		n=$((n + 1))
		[ $n -lt 600 ] || fail 'the Python program does not start'
		sleep 0.1
	done
	for n in 1 2; do
		[ "$(ask alice "old$n")" = action=dunno ] ||
			fail 'the Python program does not answer'
	done
	cp -p /etc/policyd-rate-limit.yaml /check/yaml

	dpkg -i /check/new/*.deb
	cmp /check/yaml /etc/policyd-rate-limit.yaml
	gone /etc/policyd-rate-limit.conf
	[ "$(policyd-rate-limit --get-config limits)" = '[[3, 600], [150, 86400]]' ] ||
		fail 'other limits than before'
	[ "$(ask alice new1)" = action=dunno ] || fail 'the third mail is refused'
	/etc/init.d/policyd-rate-limit status
	ask alice new2 | grep -q '^action=defer' || fail 'the counts are lost'
	dpkg --purge policyd-rate-limit-pgsql policyd-rate-limit-mysql policyd-rate-limit
	gone /etc/policyd-rate-limit.yaml /var/lib/policyd-rate-limit
}

inside()
{
	mount -t proc proc /proc
	# There is no init that would say so by itself.
	printf '#!/bin/sh\nexit 0\n' >/usr/sbin/policy-rc.d
	fresh
	upgrade
}

# Asks again and again as long as the file $1 is there: no connection may be refused.
storm()
{
	perl -MSocket -MTime::HiRes=sleep -e '
		my ($path, $answered, $again) = ("/var/spool/postfix/ratelimit/policy", 0, 0);
		# Who comes while the last ones are answered may have to ask again.
		$SIG{PIPE} = "IGNORE";
		$SIG{ALRM} = sub { die "storm: no answer for a minute\n" };
		for (; -e $ARGV[0]; sleep 0.005) {
			alarm 60;
			socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die "storm: socket: $!\n";
			connect($s, pack_sockaddr_un($path)) or die "storm: connect: $!\n";
			my $answer = "";
			syswrite $s, "request=smtpd_access_policy\n\n";
			sysread $s, $answer, 99;
			$answer =~ /^action=/ ? $answered++ : $again++;
		}
		print "$answered answers, $again to be asked again\n";
		die "storm: none is answered\n" if !$answered' "$1"
}

booted()
{
	say 'under systemd'
	dpkg -i /check/new/*.deb
	systemctl is-active policyd-rate-limit.service policyd-rate-limit.socket \
	    policyd-rate-limit-clean.timer
	sh /check/tests/postfix
	touch /run/storm
	storm /run/storm &
	storm=$!
	for n in 1 2 3 4 5 6 7; do
		systemctl restart policyd-rate-limit || fail 'it does not start again'
		ask "restart$n" "restart$n" | grep -q '^action=dunno' ||
			fail 'it does not answer after a restart'
	done
	systemctl reload policyd-rate-limit
	rm /run/storm
	wait $storm || fail 'a restart refused a connection'
	systemctl start policyd-rate-limit-clean
	apt-get purge -y -qq policyd-rate-limit policyd-rate-limit-pgsql \
	    policyd-rate-limit-mysql
	gone /lib/systemd/system/policyd-rate-limit.service \
	    /var/spool/postfix/ratelimit /var/lib/policyd-rate-limit
	places
	user_and_unit
}

python_serves()
{
	systemctl restart policyd-rate-limit
	n=0
	until ask "try$1" "try$1" 2>/dev/null | grep -q '^action=dunno'; do
		n=$((n + 1))
		[ $n -lt 600 ] || fail 'the Python program does not start'
		sleep 0.1
	done
}

# To the new packages and back, with places of its own: never is nothing limited.
places()
{
	say 'under systemd, over the Python program with places of its own, and back'
	socket=/var/spool/postfix/limit/policy
	install_old
	install -d -o policyd-rate-limit -g policyd-rate-limit -m 700 /srv/policyd
	sed -i -e 's/- \[10, 60\].*/- [3, 600]/' \
	    -e 's|/var/lib/policyd-rate-limit/db|/srv/policyd/db|' \
	    -e "s|^SOCKET:.*|SOCKET: $socket|" \
	    -e 's|^pidfile:.*|pidfile: /run/limit/pid|' /etc/policyd-rate-limit.yaml
	python_serves 1
	for n in 1 2; do
		[ "$(ask alice "old$n")" = action=dunno ] || fail 'no answer before'
	done

	dpkg -i /check/new/*.deb
	systemctl is-active policyd-rate-limit.service policyd-rate-limit.socket
	[ "$(ask alice new1)" = action=dunno ] || fail 'the third mail is refused'
	ask alice new2 | grep -q '^action=defer' || fail 'the counts are lost'
	systemctl start policyd-rate-limit-clean

	dpkg -i /check/old/*.deb 2>/check/said
	cat /check/said
	gone /etc/systemd/system/policyd-rate-limit.service.d
	sed -n '/CREATE TABLE/,/RENAME TO/p' /check/said >/check/sql
	if [ -s /check/sql ]; then
		systemctl stop policyd-rate-limit
		python3 -c 'import sqlite3, sys
sqlite3.connect("/srv/policyd/db.sqlite3").executescript(sys.stdin.read())' </check/sql
	fi
	python_serves 2
	ask alice back | grep -q '^action=defer' || fail 'nothing is limited back there'
	for n in 1 2; do
		[ "$(ask carol "back$n")" = action=dunno ] || fail 'no answer back there'
	done
	dpkg -i /check/new/*.deb
	ask alice forth | grep -q '^action=defer' || fail 'nothing is limited again'
	[ "$(ask carol forth1)" = action=dunno ] || fail 'the third mail is refused'
	ask carol forth2 | grep -q '^action=defer' || fail 'nothing was counted back there'

	dpkg --purge policyd-rate-limit-pgsql policyd-rate-limit-mysql policyd-rate-limit
	gone /etc/systemd/system/policyd-rate-limit.service.d
}

# As another user, from a file that only its group may read, and with what pip left.
user_and_unit()
{
	say 'under systemd, over the Python program as another user, with a unit of pip'
	socket=
	unit=/etc/systemd/system/policyd-rate-limit.service
	install_old
	systemctl stop policyd-rate-limit
	rm -rf /var/lib/policyd-rate-limit /run/policyd-rate-limit \
	    /var/spool/postfix/ratelimit
	sed -i -e 's/- \[10, 60\].*/- [3, 600]/' -e 's/^user:.*/user: postfix/' \
	    -e 's/^group:.*/group: postfix/' /etc/policyd-rate-limit.yaml
	chgrp postfix /etc/policyd-rate-limit.yaml
	chmod 0640 /etc/policyd-rate-limit.yaml
	cp /lib/systemd/system/policyd-rate-limit.service $unit
	mkdir -p /etc/cron.d
	echo '17 3 * * * root /usr/local/bin/policyd-rate-limit --clean' >/etc/cron.d/limits
	systemctl daemon-reload
	python_serves 3
	[ "$(ask alice old1)" = action=dunno ] || fail 'no answer before'

	! dpkg -i /check/new/*.deb >/check/said 2>&1 || fail 'it takes over beside a unit of pip'
	cat /check/said
	grep -q "$unit would be taken in place" /check/said || fail 'the unit is not named'
	[ "$(ask alice old2)" = action=dunno ] || fail 'no answer meanwhile'
	rm $unit
	systemctl daemon-reload
	dpkg --configure -a >/check/said 2>&1 || fail 'it does not take over without it'
	cat /check/said
	grep -q '/etc/cron.d/limits: ' /check/said || fail 'the line of cron is not named'
	systemctl is-active policyd-rate-limit.service policyd-rate-limit.socket
	[ "$(ask alice new1)" = action=dunno ] || fail 'the third mail is refused'
	ask alice new2 | grep -q '^action=defer' || fail 'the counts are lost'
	systemctl start policyd-rate-limit-clean
	dpkg --purge policyd-rate-limit-pgsql policyd-rate-limit-mysql policyd-rate-limit
}

# Process 1 of namespaces of its own becomes systemd.
boot()
{
	mount --make-rprivate /
	mount --bind "$1" "$1"
	cd "$1"
	mount -t proc proc proc
	mount -t sysfs -o ro sysfs sys
	mount -t tmpfs tmpfs sys/fs/cgroup
	mount -t cgroup2 cgroup2 sys/fs/cgroup
	mount -t tmpfs -o mode=755 tmpfs run
	mount -t tmpfs -o mode=755 tmpfs dev
	for name in null zero full random urandom tty; do
		touch "dev/$name"
		mount --bind "/dev/$name" "dev/$name"
	done
	mkdir dev/pts dev/shm
	mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
	ln -s pts/ptmx dev/ptmx
	ip link set lo up
	exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \
	    chroot . /lib/systemd/systemd --log-target=journal --unit=multi-user.target
}

# --- around it ---

# Suite and mirror that this machine's own packages come from.
sources()
{
	# shellcheck disable=SC1091
	: "${SUITE:=$(. /etc/os-release && echo "$VERSION_CODENAME")}"
	# shellcheck disable=SC2016
	: "${MIRROR:=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' \
	    'Created-By: Packages' | sed -n "/^$SUITE main /{s/.* //p;q;}")}"
	[ -n "$MIRROR" ] || fail "apt has no sources for $SUITE: set MIRROR and SUITE"
}

# A mirror may be busy: three times.
again()
{
	for pause in 5 30; do
		"$@" >"$root.log" 2>&1 && return
		sleep $pause
	done
	"$@" >"$root.log" 2>&1 || {
		cat "$root.log" >&2
		fail "$*"
	}
}

in_root()
{
	again chroot "$root" "$@"
}

# What a try before left there would be in the way.
new_root()
{
	rm -rf --one-file-system "$root"
	mkdir -m 755 "$root"
	debootstrap "$@" "$SUITE" "$root" "$MIRROR"
}

outside()
{
	[ "$(id -u)" -eq 0 ] || fail 'needs root'
	for tool in debootstrap unshare ip chroot; do
		command -v $tool >/dev/null || fail "$tool is missing"
	done
	ls "$debs"/policyd-rate-limit_*.deb >/dev/null 2>&1 || fail 'make deb comes first'
	unshare --mount --net --pid --fork true ||
		fail 'this machine lets not even root make namespaces'
	sources
	root=$(mktemp -d "$tmp/debcheck-XXXXXXXX")
	machine=
	trap '[ -z "$machine" ] || kill -KILL "$machine"
	    rm -rf --one-file-system "$root" "$root.log"' EXIT
	trap 'exit 1' INT TERM
	say "Debian $SUITE from $MIRROR in $root"
	set -- --variant=minbase
	case $MIRROR in https:*) set -- "$@" --include=ca-certificates ;; esac
	again new_root "$@"
	mkdir -p "$root/check/new" "$root/check/old"
	for package in policyd-rate-limit policyd-rate-limit-pgsql policyd-rate-limit-mysql; do
		cp "$debs/$package"_*.deb "$root/check/new"
	done
	cp -R "$top/packaging/debian/tests" "$root/check"
	cp "$top/regress/ask.pl" "$0" "$root/check"
	cp /etc/resolv.conf /etc/hosts "$root/etc" 2>/dev/null || :
	# Nothing starts here: it would do so in this machine's network.
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod 755 "$root/usr/sbin/policy-rc.d"
	# It need not outlive a loss of power.
	echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
	export DEBIAN_FRONTEND=noninteractive LC_ALL=C
	# A place out here is none in there.
	unset TMPDIR
	in_root apt-get install -y -qq --no-install-recommends postfix perl procps \
	    python3-yaml adduser sysvinit-utils systemd-standalone-sysusers \
	    systemd-standalone-tmpfiles
	in_root sh -c 'cd /check/old && apt-get download -qq policyd-rate-limit=1.*'
	in_root apt-get clean
	in_root sh -c 'apt-get install -y -qq --no-install-recommends --download-only \
	    /check/new/*.deb'
	in_root sh -c 'dpkg -i /var/cache/apt/archives/*.deb'
	# Networks, mounts and processes of its own, which end with it.
	unshare --mount --net --pid --fork --kill-child sh -ec "ip link set lo up
	    exec chroot '$root' sh '/check/${0##*/}' --inside"
	with_systemd
	say 'all is well'
}

with_systemd()
{
	in_root apt-get install -y -qq --no-install-recommends systemd systemd-sysv
	rm -f "$root/usr/sbin/policy-rc.d"
	unshare --mount --net --pid --fork --kill-child --uts --ipc --cgroup \
	    sh "$0" --boot "$root" >"$root.log" 2>&1 &
	machine=$!
	pid=
	n=0
	until [ -n "$pid" ] && nsenter -t "$pid" -m -p -r -w \
	    systemctl is-active multi-user.target >/dev/null 2>&1; do
		pid=$(pgrep -P $machine || :)
		n=$((n + 1))
		if [ $n -gt 300 ] || ! kill -0 $machine 2>/dev/null; then
			cat "$root.log"
			say 'systemd does not come up in namespaces here: not tried under it'
			kill -KILL $machine 2>/dev/null || :
			machine=
			return
		fi
		sleep 0.2
	done
	nsenter -t "$pid" -m -p -n -u -i -C -r -w env -i LC_ALL=C \
	    DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin \
	    sh "/check/${0##*/}" --booted || status=$?
	[ "${status:-0}" -eq 0 ] || nsenter -t "$pid" -m -p -r -w \
	    journalctl --no-pager -n 100 >&2 || :
	# Its processes are gone when it is.
	kill -KILL $machine
	wait $machine 2>/dev/null || :
	machine=
	return "${status:-0}"
}

case ${1-} in
--inside)	inside ;;
--boot)		boot "$2" ;;
--booted)	booted ;;
*)		outside ;;
esac
