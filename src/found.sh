#!/bin/sh
# found.sh OS PKG_CONFIG STAMP: whether the library that the stamp is named for is there.
# On systems whose packages have no fixed place of their own pkg-config says so; a library
# that is missing is one line that names Debian's package, as a hint for the others.
set -eu
os=$1 pkg_config=$2 stamp=$3
module=${stamp##*/}
mkdir -p "${stamp%/*}"
if [ "$os" = Linux ]; then
	case $module in
	libbsd-overlay)	package=libbsd-dev ;;
	libmd)		package=libmd-dev ;;
	libevent)	package=libevent-dev ;;
	yaml-0.1)	package=libyaml-dev ;;
	sqlite3)	package=libsqlite3-dev ;;
	libseccomp)	package=libseccomp-dev ;;
	openssl)	package=libssl-dev ;;
	libpq)		package=libpq-dev ;;
	mysql)		package=default-libmysqlclient-dev ;;
	cmocka)		package=libcmocka-dev ;;
	*)		echo "found.sh: $module is not known" >&2; exit 1 ;;
	esac
	if ! command -v "$pkg_config" >/dev/null 2>&1; then
		echo "$pkg_config is missing: apt-get install pkg-config" >&2
		exit 1
	fi
	# Either library for MySQL's protocol will do.
	case $module in
	mysql)	set -- libmariadb mysqlclient ;;
	*)	set -- "$module" ;;
	esac
	for name in "$@"; do
		! "$pkg_config" --exists "$name" || break
		name=
	done
	if [ -z "$name" ]; then
		echo "$* is missing: apt-get install $package" >&2
		exit 1
	fi
fi
: >"$stamp"
