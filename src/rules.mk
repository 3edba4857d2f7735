# The one set of rules, read by GNU make and BSD make alike: no `$^`, no pattern rules,
# no conditionals. What a packager sets (CC, CPPFLAGS, CFLAGS, LDFLAGS, …) is never
# written over; ours stands in variables of its own.

VERSION =	2.0.0

PREFIX ?=	/usr/local
SBINDIR ?=	${PREFIX}/sbin
LIBEXECDIR ?=	${PREFIX}/libexec/policyd-rate-limit
MANDIR ?=	${PREFIX}/share/man
SYSCONFDIR ?=	/etc
EXAMPLEDIR ?=	${PREFIX}/share/examples/policyd-rate-limit
RUNDIR ?=	/var/run/policyd-rate-limit
STATEDIR ?=	/var/lib/policyd-rate-limit

# What starts the daemon on this system: systemd, openbsd, freebsd, netbsd or none.
INIT_Linux =	systemd
INIT_OpenBSD =	openbsd
INIT_FreeBSD =	freebsd
INIT_NetBSD =	netbsd
INIT ?=		${INIT_${OS}}
UNITDIR ?=	${PREFIX}/lib/systemd/system
SYSUSERSDIR ?=	${PREFIX}/lib/sysusers.d
TMPFILESDIR ?=	${PREFIX}/lib/tmpfiles.d
BASHCOMPDIR ?=	${PREFIX}/share/bash-completion/completions
ZSHCOMPDIR ?=	${PREFIX}/share/zsh/site-functions
RCDIR_openbsd =	/etc/rc.d
RCDIR_freebsd =	${PREFIX}/etc/rc.d
RCDIR_netbsd =	/etc/rc.d
RCDIR ?=	${RCDIR_${INIT}}

CC ?=		cc
CFLAGS ?=	-O2 -g
INSTALL ?=	install
BSD_INSTALL_PROGRAM ?= ${INSTALL} -m 0755
BSD_INSTALL_DATA ?= ${INSTALL} -m 0644
BSD_INSTALL_MAN ?= ${INSTALL} -m 0644
BSD_INSTALL_SCRIPT ?= ${INSTALL} -m 0755
PROVE ?=	prove
PROVEFLAGS ?=	-j2
PERL ?=		perl

# The ledgers to build: any of sqlite, pgsql, mysql. One whose library is missing is an
# error; name the ones that are wanted.
LEDGERS ?=	sqlite pgsql mysql

# native: this system's own confinement. eased: with the calls that sanitizers and
# valgrind need. none: without one. The last two are said in the log at every start.
SANDBOX ?=	native

# Recipes say one short line each; `make Q=` shows them whole.
Q ?=		@

WARNINGS =	-std=c11 -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes \
		-Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings \
		-Wformat=2 -Wundef -Wvla
# Those of these that the compiler knows; what a packager sets is left to him.
HARDENING !=	sh src/hardening.sh "${CC}" "${CPPFLAGS} ${CFLAGS}" compile
LINK_HARDENING != sh src/hardening.sh "${CC}" "${CPPFLAGS} ${CFLAGS} ${LDFLAGS}" link

# Where Linux has its libraries. One that is missing has no flags here, and is told by
# build/found (src/found.sh) before what needs it is compiled.
PKG_CONFIG ?=	pkg-config
BSD_CFLAGS_Linux != ${PKG_CONFIG} --cflags libbsd-overlay 2>/dev/null || :
BSD_LIBS_Linux != ${PKG_CONFIG} --libs libbsd-overlay 2>/dev/null || :
MD_LIBS_Linux != ${PKG_CONFIG} --libs libmd 2>/dev/null || :
EVENT_CFLAGS_Linux != ${PKG_CONFIG} --cflags libevent 2>/dev/null || :
EVENT_LIBS_Linux != ${PKG_CONFIG} --libs libevent 2>/dev/null || :
YAML_CFLAGS_Linux != ${PKG_CONFIG} --cflags yaml-0.1 2>/dev/null || :
YAML_LIBS_Linux != ${PKG_CONFIG} --libs yaml-0.1 2>/dev/null || :
SECCOMP_CFLAGS_Linux != ${PKG_CONFIG} --cflags libseccomp 2>/dev/null || :
SECCOMP_LIBS_Linux != ${PKG_CONFIG} --libs libseccomp 2>/dev/null || :
SSL_CFLAGS_Linux != ${PKG_CONFIG} --cflags openssl 2>/dev/null || :
SSL_LIBS_Linux != ${PKG_CONFIG} --libs openssl 2>/dev/null || :
SQLITE_CFLAGS_Linux != ${PKG_CONFIG} --cflags sqlite3 2>/dev/null || :
SQLITE_LIBS_Linux != ${PKG_CONFIG} --libs sqlite3 2>/dev/null || :
PGSQL_CFLAGS_Linux != ${PKG_CONFIG} --cflags libpq 2>/dev/null || :
PGSQL_LIBS_Linux != ${PKG_CONFIG} --libs libpq 2>/dev/null || :
MYSQL_CFLAGS_Linux != ${PKG_CONFIG} --cflags libmariadb 2>/dev/null || \
		${PKG_CONFIG} --cflags mysqlclient 2>/dev/null || :
MYSQL_LIBS_Linux != ${PKG_CONFIG} --libs libmariadb 2>/dev/null || \
		${PKG_CONFIG} --libs mysqlclient 2>/dev/null || :
CMOCKA_CFLAGS_Linux != ${PKG_CONFIG} --cflags cmocka 2>/dev/null || :
CMOCKA_LIBS_Linux != ${PKG_CONFIG} --libs cmocka 2>/dev/null || :
OS_CPPFLAGS_Linux = -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 ${BSD_CFLAGS_Linux} ${EVENT_CFLAGS_Linux} \
		${YAML_CFLAGS_Linux} ${SECCOMP_CFLAGS_Linux} ${SSL_CFLAGS_Linux} \
		${SQLITE_CFLAGS_Linux} ${CMOCKA_CFLAGS_Linux}
# Where packages of the BSDs are; the system's own headers come first.
LOCALBASE_FreeBSD = /usr/local
LOCALBASE_NetBSD = /usr/pkg
LOCALBASE_OpenBSD = /usr/local
LOCALBASE ?=	${LOCALBASE_${OS}}
OS_CPPFLAGS_FreeBSD = -include compat/compat.h -idirafter ${LOCALBASE}/include
OS_CPPFLAGS_NetBSD = -D_OPENBSD_SOURCE -include compat/compat.h \
		-idirafter ${LOCALBASE}/include
OS_CPPFLAGS_OpenBSD = -idirafter ${LOCALBASE}/include
OS_LDFLAGS_Linux = -pie
OS_LDFLAGS_FreeBSD = -pie -L${LOCALBASE}/lib
OS_LDFLAGS_NetBSD = -L${LOCALBASE}/lib -Wl,-rpath,${LOCALBASE}/lib
OS_LDFLAGS_OpenBSD = -L${LOCALBASE}/lib
OS_LIBS_Linux =	${BSD_LIBS_Linux}
SHA2_LIBS_Linux = ${MD_LIBS_Linux}
SHA2_LIBS_FreeBSD = -lmd
SANDBOX_LIBS_Linux_native = ${SECCOMP_LIBS_Linux}
SANDBOX_LIBS_Linux_eased = ${SECCOMP_LIBS_Linux}
SANDBOX_CPPFLAGS_eased = -DSANDBOX_EASED
PGSQL_CPPFLAGS_Linux = ${PGSQL_CFLAGS_Linux}
PGSQL_CPPFLAGS_OpenBSD = -idirafter ${LOCALBASE}/include/postgresql
MYSQL_CPPFLAGS_Linux = ${MYSQL_CFLAGS_Linux}
MYSQL_CPPFLAGS_FreeBSD = -idirafter ${LOCALBASE}/include/mariadb
MYSQL_CPPFLAGS_NetBSD = -idirafter ${LOCALBASE}/include/mysql
MYSQL_CPPFLAGS_OpenBSD = -idirafter ${LOCALBASE}/include/mysql
PGSQL_CPPFLAGS ?= ${PGSQL_CPPFLAGS_${OS}}
MYSQL_CPPFLAGS ?= ${MYSQL_CPPFLAGS_${OS}}
# Of the others: by their own names, below LOCALBASE.
EVENT_LIBS_FreeBSD = -levent
EVENT_LIBS_NetBSD = -levent
EVENT_LIBS_OpenBSD = -levent
YAML_LIBS_FreeBSD = -lyaml
YAML_LIBS_NetBSD = -lyaml
YAML_LIBS_OpenBSD = -lyaml
SSL_LIBS_FreeBSD = -lssl -lcrypto
SSL_LIBS_NetBSD = -lssl -lcrypto
SSL_LIBS_OpenBSD = -lssl -lcrypto
SQLITE_LIBS_FreeBSD = -lsqlite3
SQLITE_LIBS_NetBSD = -lsqlite3
SQLITE_LIBS_OpenBSD = -lsqlite3
PGSQL_LIBS_FreeBSD = -lpq
PGSQL_LIBS_NetBSD = -lpq
PGSQL_LIBS_OpenBSD = -lpq
MYSQL_LIBS_FreeBSD = -L${LOCALBASE}/lib/mariadb -lmariadb
MYSQL_LIBS_NetBSD = -lmariadb
MYSQL_LIBS_OpenBSD = -lmariadb
CMOCKA_LIBS_FreeBSD = -lcmocka
CMOCKA_LIBS_NetBSD = -lcmocka
CMOCKA_LIBS_OpenBSD = -lcmocka
MYSQL_LIBS ?=	${MYSQL_LIBS_${OS}}

OUR_CPPFLAGS =	-I src -I compat -DVERSION='"${VERSION}"' ${OS_CPPFLAGS_${OS}} \
		${SANDBOX_CPPFLAGS_${SANDBOX}}
# FreeBSD's <sys/queue.h> uses an extension in its macros.
OS_CFLAGS_FreeBSD = -Wno-gnu-statement-expression
OUR_CFLAGS =	${WARNINGS} ${OS_CFLAGS_${OS}} -fPIE ${HARDENING} -MMD -MP
COMPILE =	${CC} ${OUR_CPPFLAGS} ${CPPFLAGS} ${OUR_CFLAGS} ${CFLAGS}
LINK =		${CC} ${OS_LDFLAGS_${OS}} ${LINK_HARDENING} ${CFLAGS} ${LDFLAGS}
LIBS =		${OS_LIBS_${OS}} ${SANDBOX_LIBS_${OS}_${SANDBOX}}
PARENT_LIBS =	${YAML_LIBS_${OS}} ${LIBS}
ENGINE_LIBS =	${EVENT_LIBS_${OS}} ${LIBS}
LEDGER_LIBS =	${SHA2_LIBS_${OS}} ${LIBS}
SQLITE_LIBS ?=	${SQLITE_LIBS_${OS}}
PGSQL_LIBS ?=	${PGSQL_LIBS_${OS}}
REPORT_LIBS =	${SSL_LIBS_${OS}} ${LIBS}
UNIT_LIBS =	${CMOCKA_LIBS_${OS}} ${EVENT_LIBS_${OS}} ${YAML_LIBS_${OS}} \
		${SQLITE_LIBS} ${SSL_LIBS_${OS}} ${SHA2_LIBS_${OS}} ${LIBS}

COMMON_OBJS =	${COMMON_SRCS:.c=.o}
CHILD_OBJS =	${COMMON_OBJS} ${ROLE_SRCS:.c=.o}
PARENT_OBJS =	${PARENT_SRCS:.c=.o} ${CONF_READ_SRCS:.c=.o} ${COMMON_OBJS}
ENGINE_OBJS =	${ENGINE_SRCS:.c=.o} ${CHILD_OBJS}
LEDGER_OBJS =	${LEDGER_SRCS:.c=.o} ${CHILD_OBJS}
SQLITE_OBJS =	${LEDGER_SQLITE_SRCS:.c=.o} ${LEDGER_OBJS}
PGSQL_OBJS =	${LEDGER_PGSQL_SRCS:.c=.o} ${LEDGER_OBJS}
MYSQL_OBJS =	${LEDGER_MYSQL_SRCS:.c=.o} ${LEDGER_OBJS}
REPORT_OBJS =	${REPORT_SRCS:.c=.o} ${CHILD_OBJS}
CTL_OBJS =	${CTL_SRCS:.c=.o} ${CONF_READ_SRCS:.c=.o} ${CONF_SRCS:.c=.o} \
		${IPC_SRCS:.c=.o} ${LIB_SRCS:.c=.o} ${COMPAT_SRCS:.c=.o}
UNIT_OBJS =	${UNIT_ROOM_SRCS:.c=.o}
UNIT_TESTS =	${UNIT_SRCS:.c=.test} ${LEDGER_TEST_SRCS:.c=.test}
RIG_PGSQL_OBJS = ${RIG_PGSQL_SRCS:.c=.o}
RIG_MYSQL_OBJS = ${RIG_MYSQL_SRCS:.c=.o}
PGSQL_TESTS =	${LEDGER_SUITE_SRCS:.c=.pgsql}
MYSQL_TESTS =	${LEDGER_SUITE_SRCS:.c=.mysql}
BENCH_OBJS =	${BENCH_SRCS:.c=.o}
FLOOR_OBJS =	${FLOOR_SRCS:.c=.o} ${BENCH_COMMON_SRCS:.c=.o}
SIMULATION_OBJS = ${SIMULATION_SRCS:.c=.o} ${DECISION_SRCS:.c=.o} \
		${LIB_SRCS:.c=.o} ${COMPAT_SRCS:.c=.o}
LOAD_OBJS =	${LOAD_SRCS:.c=.o} ${BENCH_COMMON_SRCS:.c=.o}
ATTACK_OBJS =	${ATTACK_SRCS:.c=.o} ${SANDBOX_SRCS:.c=.o} ${LIB_SRCS:.c=.o} ${COMPAT_SRCS:.c=.o}
ATTACK_Linux_native = build/regress/attack
ATTACK_Linux_eased = build/regress/attack
LIAR =		build/regress/liar
LIAR_PROGRAMS =	${LIAR}/policyd-rate-limit ${LIAR}/engine ${LIAR}/ledger-sqlite
FAULT =		build/regress/fault
FAULT_Linux =	${FAULT}/policyd-rate-limit ${FAULT}/shim.so
TEST_PROGRAMS =	build/bench/floor build/bench/load build/bench/simulation ${LIAR_PROGRAMS} \
		${FAULT_${OS}} ${ATTACK_${OS}_${SANDBOX}}
# Those that no unit test has a part of: compiled with the tests, run by make fuzz.
FUZZ_OBJS =	regress/fuzz/database.o regress/fuzz/ledger.o regress/fuzz/rows.o
OBJECTS =	${PARENT_OBJS} src/conf/paths.o ${ENGINE_OBJS} ${LEDGER_OBJS} \
		${SQLITE_OBJS} ${PGSQL_OBJS} ${MYSQL_OBJS} ${REPORT_OBJS} ${CTL_OBJS}
SOURCES =	${PARENT_SRCS} ${CONF_READ_SRCS} src/conf/paths.c ${COMMON_SRCS} \
		${ENGINE_SRCS} ${LEDGER_SRCS} ${LEDGER_SQLITE_SRCS} ${LEDGER_PGSQL_SRCS} \
		${LEDGER_MYSQL_SRCS} ${REPORT_SRCS} ${CTL_SRCS} ${ROLE_SRCS} \
		${UNIT_SRCS} ${LEDGER_TEST_SRCS} ${LEDGER_RIG_SRCS} ${RIG_PGSQL_SRCS} \
		${RIG_MYSQL_SRCS} ${BENCH_SRCS} ${ATTACK_SRCS} ${LIAR_SRCS}
DEPENDS =	${OBJECTS:.o=.d} ${UNIT_SRCS:.c=.d} ${LEDGER_TEST_SRCS:.c=.d} \
		${LEDGER_RIG_SRCS:.c=.d} ${RIG_PGSQL_OBJS:.o=.d} ${RIG_MYSQL_OBJS:.o=.d} ${BENCH_OBJS:.o=.d} ${ATTACK_SRCS:.c=.d} \
		${LIAR_SRCS:.c=.d} ${FUZZ_OBJS:.o=.d} build/paths.d ${LIAR}/paths.d

REPORT_PROGRAM = build/libexec/report
CHILDREN =	build/libexec/engine ${LEDGERS:%=build/libexec/ledger-%} ${REPORT_PROGRAM}
MAN5 =		man/policyd-rate-limit.conf.5
MAN8 =		man/policyctl.8 man/policyd-rate-limit.8

CTL_PROGRAM =	build/policyctl
PROGRAMS =	build/policyd-rate-limit ${CHILDREN} ${CTL_PROGRAM}

.SUFFIXES:
.SUFFIXES: .c .o .test .pgsql .mysql
.PHONY: all objects run tests check check-built check-fast bench bench-compare bench-scale habit-simulation instructions walk lint compile_commands install clean dist deb debcheck debcheck-built fuzz mysqlclient portable portability \
	install-programs install-texts install-init- install-init-none \
	tests-sqlite tests-pgsql tests-mysql \
	install-init-systemd install-init-openbsd install-init-freebsd install-init-netbsd \
	uninstall uninstall-init- uninstall-init-none uninstall-init-systemd \
	uninstall-init-openbsd uninstall-init-freebsd uninstall-init-netbsd

all: ${PROGRAMS}

# Before anything is compiled that needs it, each library is looked for.
FOUND =		build/found/libbsd-overlay build/found/libmd build/found/libevent \
		build/found/yaml-0.1 build/found/sqlite3 build/found/libseccomp \
		build/found/openssl build/found/libpq build/found/mysql \
		build/found/cmocka
${FOUND}:
	@sh src/found.sh ${OS} "${PKG_CONFIG}" $@
# SQLite, libevent and the C library must have the same time_t as our objects.
build/found/time: src/time.sh
	@sh src/time.sh "${CC}" "${CPPFLAGS} ${CFLAGS}" $@
${OBJECTS} ${UNIT_OBJS} ${BENCH_OBJS} ${ATTACK_OBJS} ${LIAR_SRCS:.c=.o} build/paths.o: \
    build/found/libbsd-overlay build/found/time
${CONF_READ_SRCS:.c=.o}: build/found/yaml-0.1
${ENGINE_OBJS}: build/found/libevent
${LEDGER_OBJS}: build/found/libmd
src/sandbox/seccomp.o: build/found/libseccomp
src/ledger/sqlite/sqlite.o src/ledger/sqlite/sqlite_directory.o: build/found/sqlite3
src/ledger/pgsql/pgsql.o src/ledger/pgsql/pgsql_connect.o: build/found/libpq
src/ledger/mysql/mysqldb.o src/ledger/mysql/mysqldb_connect.o: build/found/mysql
src/report/tls.o: build/found/openssl
${UNIT_SRCS:.c=.o} ${LEDGER_TEST_SRCS:.c=.o} ${SCENARIO_SRCS:.c=.o}: build/found/cmocka

.c.o:
	@echo "  CC  $@"
	${Q}${COMPILE} -c -o $@ $<
.o.test:
	@echo "  LD  $@"
	${Q}${LINK} -o $@ $< build/units.a ${UNIT_LIBS}
.o.pgsql:
	@echo "  LD  $@"
	${Q}${LINK} -o $@ $< ${RIG_PGSQL_OBJS} build/units.a ${PGSQL_LIBS} \
	    ${UNIT_LIBS}
.o.mysql:
	@echo "  LD  $@"
	${Q}${LINK} -o $@ $< ${RIG_MYSQL_OBJS} build/units.a ${MYSQL_LIBS} \
	    ${UNIT_LIBS}

src/ledger/pgsql/pgsql.o: src/ledger/pgsql/pgsql.c
	@echo "  CC  $@"
	${Q}${COMPILE} ${PGSQL_CPPFLAGS} -c -o $@ src/ledger/pgsql/pgsql.c
src/ledger/pgsql/pgsql_connect.o: src/ledger/pgsql/pgsql_connect.c
	@echo "  CC  $@"
	${Q}${COMPILE} ${PGSQL_CPPFLAGS} -c -o $@ src/ledger/pgsql/pgsql_connect.c
src/ledger/mysql/mysqldb.o: src/ledger/mysql/mysqldb.c
	@echo "  CC  $@"
	${Q}${COMPILE} ${MYSQL_CPPFLAGS} -c -o $@ src/ledger/mysql/mysqldb.c
src/ledger/mysql/mysqldb_connect.o: src/ledger/mysql/mysqldb_connect.c
	@echo "  CC  $@"
	${Q}${COMPILE} ${MYSQL_CPPFLAGS} -c -o $@ src/ledger/mysql/mysqldb_connect.c
regress/ledger/outsider_pgsql.o: regress/ledger/outsider_pgsql.c
	@echo "  CC  $@"
	${Q}${COMPILE} ${PGSQL_CPPFLAGS} -c -o $@ regress/ledger/outsider_pgsql.c
regress/ledger/outsider_mysql.o: regress/ledger/outsider_mysql.c
	@echo "  CC  $@"
	${Q}${COMPILE} ${MYSQL_CPPFLAGS} -c -o $@ regress/ledger/outsider_mysql.c

# Where things are installed stands in paths.c alone. The parent in build/ finds its
# children in build/, the installed one (build/install) in LIBEXECDIR.
PATHS =		-DSYSCONFDIR='"${SYSCONFDIR}"' -DRUNDIR='"${RUNDIR}"' \
		-DSTATEDIR='"${STATEDIR}"'
src/conf/paths.o: src/conf/paths.c build/install/paths
	@echo "  CC  $@"
	${Q}${COMPILE} ${PATHS} -DLIBEXECDIR='"${LIBEXECDIR}"' -c -o $@ src/conf/paths.c
# Changes when they do, so that `make install` may be given others than `make` was.
build/install/paths: always
	@mkdir -p build/install
	@echo ${PATHS} ${LIBEXECDIR} | cmp -s - $@ || echo ${PATHS} ${LIBEXECDIR} >$@
always:
build/paths.o: src/conf/paths.c
	@mkdir -p build
	@echo "  CC  $@"
	${Q}${COMPILE} ${PATHS} -DLIBEXECDIR='"${TOP}/build/libexec"' -c -o $@ \
	    src/conf/paths.c

objects: ${OBJECTS}

build/policyd-rate-limit: ${PARENT_OBJS} build/paths.o
	@mkdir -p build/libexec
	@echo "  LD  $@"
	${Q}${LINK} -o $@ ${PARENT_OBJS} build/paths.o ${PARENT_LIBS}
build/install/policyd-rate-limit: ${PARENT_OBJS} src/conf/paths.o
	@mkdir -p build/install
	@echo "  LD  $@"
	${Q}${LINK} -o $@ ${PARENT_OBJS} src/conf/paths.o ${PARENT_LIBS}
build/libexec/engine: ${ENGINE_OBJS}
	@mkdir -p build/libexec
	@echo "  LD  $@"
	${Q}${LINK} -o $@ ${ENGINE_OBJS} ${ENGINE_LIBS}
build/libexec/ledger-sqlite: ${SQLITE_OBJS}
	@mkdir -p build/libexec
	@echo "  LD  $@"
	${Q}${LINK} -o $@ ${SQLITE_OBJS} ${SQLITE_LIBS} ${LEDGER_LIBS}
build/libexec/ledger-pgsql: ${PGSQL_OBJS}
	@mkdir -p build/libexec
	@echo "  LD  $@"
	${Q}${LINK} -o $@ ${PGSQL_OBJS} ${PGSQL_LIBS} ${LEDGER_LIBS}
build/libexec/ledger-mysql: ${MYSQL_OBJS}
	@mkdir -p build/libexec
	@echo "  LD  $@"
	${Q}${LINK} -o $@ ${MYSQL_OBJS} ${MYSQL_LIBS} ${LEDGER_LIBS}
build/libexec/report: ${REPORT_OBJS}
	@mkdir -p build/libexec
	@echo "  LD  $@"
	${Q}${LINK} -o $@ ${REPORT_OBJS} ${REPORT_LIBS}
build/policyctl: ${CTL_OBJS} src/conf/paths.o
	@mkdir -p build
	@echo "  LD  $@"
	${Q}${LINK} -o $@ ${CTL_OBJS} src/conf/paths.o ${YAML_LIBS_${OS}} \
	    ${OS_LIBS_${OS}}

build/bench/floor: ${FLOOR_OBJS}
	@mkdir -p build/bench
	@echo "  LD  $@"
	${Q}${LINK} -o $@ ${FLOOR_OBJS} ${OS_LIBS_${OS}}
build/bench/load: ${LOAD_OBJS}
	@mkdir -p build/bench
	@echo "  LD  $@"
	${Q}${LINK} -o $@ ${LOAD_OBJS} ${OS_LIBS_${OS}}
build/bench/scenario: ${SCENARIO_SRCS:.c=.o} regress/bench/traffic.o build/units.a
	@mkdir -p build/bench
	@echo "  LD  $@"
	${Q}${LINK} -o $@ ${SCENARIO_SRCS:.c=.o} regress/bench/traffic.o \
	    build/units.a ${UNIT_LIBS}
build/bench/simulation: ${SIMULATION_OBJS}
	@mkdir -p build/bench
	@echo "  LD  $@"
	${Q}${LINK} -o $@ ${SIMULATION_OBJS} -lm ${OS_LIBS_${OS}}
build/regress/attack: ${ATTACK_OBJS}
	@mkdir -p build/regress
	@echo "  LD  $@"
	${Q}${LINK} -o $@ ${ATTACK_OBJS} ${SQLITE_LIBS} ${LIBS}

${LIAR}/paths.o: src/conf/paths.c
	@mkdir -p ${LIAR}
	@echo "  CC  $@"
	${Q}${COMPILE} ${PATHS} -DLIBEXECDIR='"${TOP}/${LIAR}"' -c -o $@ \
	    src/conf/paths.c
${LIAR}/policyd-rate-limit: ${PARENT_OBJS} ${LIAR}/paths.o
	@echo "  LD  $@"
	${Q}${LINK} -o $@ ${PARENT_OBJS} ${LIAR}/paths.o ${PARENT_LIBS}
${LIAR}/engine: ${LIAR_SRCS:.c=.o} ${CHILD_OBJS}
	@mkdir -p ${LIAR}
	@echo "  LD  $@"
	${Q}${LINK} -o $@ ${LIAR_SRCS:.c=.o} ${CHILD_OBJS} ${LIBS}
${LIAR}/ledger-sqlite: build/libexec/ledger-sqlite
	@mkdir -p ${LIAR}
	@echo "  CP  $@"
	${Q}cp build/libexec/ledger-sqlite $@

# Looks for its children in libexec below where it is started.
${FAULT}/paths.o: src/conf/paths.c
	@mkdir -p ${FAULT}
	@echo "  CC  $@"
	${Q}${COMPILE} ${PATHS} -DLIBEXECDIR='"libexec"' -c -o $@ src/conf/paths.c
${FAULT}/policyd-rate-limit: ${PARENT_OBJS} ${FAULT}/paths.o
	@echo "  LD  $@"
	${Q}${LINK} -o $@ ${PARENT_OBJS} ${FAULT}/paths.o ${PARENT_LIBS}
# It defines both names of a call; a compiler may make one of them by itself.
${FAULT}/shim.so: regress/fault/shim.c
	@mkdir -p ${FAULT}
	@echo "  LD  $@"
	${Q}${CC} ${WARNINGS} -D_GNU_SOURCE -U_TIME_BITS -U_FILE_OFFSET_BITS \
	    -shared -fPIC -O2 -g -o $@ regress/fault/shim.c

build/units.a: ${UNIT_OBJS}
	@mkdir -p build
	@rm -f $@
	@echo "  AR  $@"
	${Q}${AR} rcs $@ ${UNIT_OBJS}
${UNIT_TESTS}: build/units.a
${PGSQL_TESTS}: build/units.a ${RIG_PGSQL_OBJS}
${MYSQL_TESTS}: build/units.a ${RIG_MYSQL_OBJS}
tests-sqlite:
tests-pgsql: ${PGSQL_TESTS}
tests-mysql: ${MYSQL_TESTS}

run: all
	@sh regress/run.sh

tests: ${UNIT_TESTS} ${TEST_PROGRAMS} ${FUZZ_OBJS} ${LEDGERS:%=tests-%}

# By another make, so that under -j nothing is tested before it is built.
check: all tests
	@${MAKE} check-built

check-built:
	@CMOCKA_MESSAGE_OUTPUT=TAP ${PROVE} ${PROVEFLAGS} -I regress/lib \
	    ${UNIT_TESTS} ${SCRIPTS}

# Units, the configuration and the style, in less than a minute.
FAST_SCRIPTS =	regress/conf/*.t regress/style/*.t
check-fast: all ${UNIT_SRCS:.c=.test}
	@CMOCKA_MESSAGE_OUTPUT=TAP ${PROVE} ${PROVEFLAGS} -I regress/lib \
	    ${UNIT_SRCS:.c=.test} ${FAST_SCRIPTS}

lint:
	@sh regress/lint.sh

# compile_commands.json for clangd and other tools. Every file gets the flags of all of
# them.
compile_commands:
	@sh src/compile_commands.sh "${TOP}" ${SOURCES} -- ${COMPILE} \
	    ${PGSQL_CPPFLAGS} ${MYSQL_CPPFLAGS} ${PATHS} \
	    -DLIBEXECDIR='"${LIBEXECDIR}"' >compile_commands.json.new
	@mv compile_commands.json.new compile_commands.json

# What links with nothing but the C library, all that every role is made of among it.
portable: build/bench/floor build/bench/load ${LIAR}/engine

# BSDCC: a directory with openbsd-cc, freebsd-cc and netbsd-cc.
portability:
	@sh regress/portability.sh "${BSDCC}"

# What is written for MySQL's own library, with the headers in MYSQL_HEADERS.
mysqlclient:
	@for file in mysqldb mysqldb_connect; do \
	    ${COMPILE} -Werror -I "${MYSQL_HEADERS}" -fsyntax-only -MF /dev/null \
	        src/ledger/mysql/$$file.c || exit 1; done

# make fuzz SECONDS=n: so long for each target.
SECONDS ?=	10
fuzz:
	@FUZZ_LIBS="${YAML_LIBS_${OS}} ${SQLITE_LIBS} ${EVENT_LIBS_${OS}} ${SHA2_LIBS_${OS}} ${LIBS}" \
	    sh regress/fuzz.sh "${SECONDS}" "-std=c11 -I src -I compat \
	    -DVERSION=\"${VERSION}\" ${OS_CPPFLAGS_${OS}}" ${UNIT_ROOM_SRCS}

bench: all ${TEST_PROGRAMS}
	@${PERL} -I regress/lib regress/bench/bench.pl ${BENCHFLAGS}
# The functions on a request's way; GNU's compiler and Linux. WALK=long names them.
walk: all
	@MAKE="${MAKE}" CC="${CC}" ${PERL} -I regress/lib regress/bench/walk.pl
# UPDATE=1 writes the figures down, otherwise they are compared; needs valgrind.
instructions: build/bench/scenario
	@UPDATE="${UPDATE}" ${PERL} -I regress/lib regress/bench/instructions.pl \
	    "`${CC} -dumpfullversion` ${CFLAGS}"
# ROWS: how many, ten million by default; ACTIVE: how many of their ids are asked about.
bench-scale: all ${TEST_PROGRAMS}
	@${PERL} -I regress/lib regress/bench/scale.pl ${ROWS} ${ACTIVE}
# REV: the revision to compare this tree with.
bench-compare: all ${TEST_PROGRAMS}
	@REV="${REV}" MAKE="${MAKE}" ${PERL} -I regress/lib regress/bench/compare.pl

# make habit-simulation SEED=n: how much of a thief's mail each set of rules stops.
SEED ?=		1
habit-simulation: build/bench/simulation
	@build/bench/simulation ${SEED}

# Into DESTDIR, as whoever calls it; never over a configuration that is in use, and
# nothing below RUNDIR or STATEDIR, which the daemon makes itself.
install: install-programs install-texts install-init-${INIT}
	@[ -n "${DESTDIR}" ] || sh packaging/leftovers

install-programs: all build/install/policyd-rate-limit
	umask 022 && mkdir -p "${DESTDIR}${SBINDIR}" "${DESTDIR}${LIBEXECDIR}"
	${BSD_INSTALL_PROGRAM} build/install/policyd-rate-limit ${CTL_PROGRAM} \
	    "${DESTDIR}${SBINDIR}"
	${BSD_INSTALL_PROGRAM} ${CHILDREN} "${DESTDIR}${LIBEXECDIR}"

# Texts are installed with the paths of this installation in them.
SUBSTITUTE =	EXAMPLEDIR='${EXAMPLEDIR}' LIBEXECDIR='${LIBEXECDIR}' RUNDIR='${RUNDIR}' \
		SBINDIR='${SBINDIR}' STATEDIR='${STATEDIR}' SYSCONFDIR='${SYSCONFDIR}' \
		sh packaging/substitute

install-texts:
	umask 022 && mkdir -p build/install "${DESTDIR}${EXAMPLEDIR}" \
	    "${DESTDIR}${MANDIR}/man5" "${DESTDIR}${MANDIR}/man8" \
	    "${DESTDIR}${BASHCOMPDIR}" "${DESTDIR}${ZSHCOMPDIR}"
	@for f in etc/policyd-rate-limit.conf ${MAN5} ${MAN8}; do \
		${SUBSTITUTE} <$$f >build/install/$${f##*/} || exit 1; \
	done
	${BSD_INSTALL_DATA} build/install/policyd-rate-limit.conf "${DESTDIR}${EXAMPLEDIR}"
	for f in ${MAN5}; do ${BSD_INSTALL_MAN} build/install/$${f##*/} \
	    "${DESTDIR}${MANDIR}/man5" || exit 1; done
	for f in ${MAN8}; do ${BSD_INSTALL_MAN} build/install/$${f##*/} \
	    "${DESTDIR}${MANDIR}/man8" || exit 1; done
	for f in policyctl policyd-rate-limit; do \
		${BSD_INSTALL_DATA} packaging/completion/$$f.bash \
		    "${DESTDIR}${BASHCOMPDIR}/$$f" || exit 1; \
		${BSD_INSTALL_DATA} packaging/completion/_$$f \
		    "${DESTDIR}${ZSHCOMPDIR}" || exit 1; \
	done

UNITS =		policyd-rate-limit.service policyd-rate-limit.socket \
		policyd-rate-limit-clean.service policyd-rate-limit-clean.timer \
		policyd-rate-limit-events.service \
		policyd-rate-limit-metrics.service policyd-rate-limit-metrics.timer \
		policyd-rate-limit-page.service policyd-rate-limit-page.timer
install-init-systemd:
	umask 022 && mkdir -p build/install "${DESTDIR}${UNITDIR}" \
	    "${DESTDIR}${SYSUSERSDIR}" "${DESTDIR}${TMPFILESDIR}"
	@for f in ${UNITS} sysusers.conf tmpfiles.conf; do \
		${SUBSTITUTE} <systemd/$$f.in >build/install/$$f || exit 1; \
	done
	${BSD_INSTALL_DATA} ${UNITS:%=build/install/%} "${DESTDIR}${UNITDIR}"
	${BSD_INSTALL_DATA} build/install/sysusers.conf \
	    "${DESTDIR}${SYSUSERSDIR}/policyd-rate-limit.conf"
	${BSD_INSTALL_DATA} build/install/tmpfiles.conf \
	    "${DESTDIR}${TMPFILESDIR}/policyd-rate-limit.conf"

install-init-openbsd install-init-freebsd install-init-netbsd:
	umask 022 && mkdir -p build/install "${DESTDIR}${RCDIR}"
	@${SUBSTITUTE} <rc.d/policyd_rate_limit.${INIT}.in >build/install/policyd_rate_limit
	${BSD_INSTALL_SCRIPT} build/install/policyd_rate_limit "${DESTDIR}${RCDIR}"

install-init- install-init-none:

# What install made with the same variables; no configuration, no count, no user.
uninstall: uninstall-init-${INIT}
	rm -f "${DESTDIR}${SBINDIR}/policyd-rate-limit" "${DESTDIR}${SBINDIR}/policyctl" \
	    "${DESTDIR}${EXAMPLEDIR}/policyd-rate-limit.conf" \
	    "${DESTDIR}${MANDIR}/man5/policyd-rate-limit.conf.5" \
	    "${DESTDIR}${MANDIR}/man8/policyctl.8" \
	    "${DESTDIR}${MANDIR}/man8/policyd-rate-limit.8" \
	    "${DESTDIR}${BASHCOMPDIR}/policyctl" "${DESTDIR}${ZSHCOMPDIR}/_policyctl" \
	    "${DESTDIR}${BASHCOMPDIR}/policyd-rate-limit" \
	    "${DESTDIR}${ZSHCOMPDIR}/_policyd-rate-limit"
	for f in engine report ledger-sqlite ledger-pgsql ledger-mysql; do \
		rm -f "${DESTDIR}${LIBEXECDIR}/$$f" || exit 1; \
	done
	for d in "${DESTDIR}${LIBEXECDIR}" "${DESTDIR}${EXAMPLEDIR}"; do \
		[ ! -d "$$d" ] || rmdir "$$d" || exit 1; \
	done

uninstall-init-systemd:
	for f in ${UNITS}; do rm -f "${DESTDIR}${UNITDIR}/$$f" || exit 1; done
	rm -f "${DESTDIR}${SYSUSERSDIR}/policyd-rate-limit.conf" \
	    "${DESTDIR}${TMPFILESDIR}/policyd-rate-limit.conf"

uninstall-init-openbsd uninstall-init-freebsd uninstall-init-netbsd:
	rm -f "${DESTDIR}${RCDIR}/policyd_rate_limit"

uninstall-init- uninstall-init-none:

# The same bytes for the same commit, wherever it is made, whatever git is told there.
# A tree without git is what a tarball had in it: that one is to lie in it.
dist:
	@[ -e .git ] || [ -s policyd-rate-limit-${VERSION}.tar.gz ] || { \
	    echo "make dist: no clone of the repository: put" \
	    "policyd-rate-limit-${VERSION}.tar.gz here" >&2; exit 1; }
	@[ ! -e .git ] || git -c tar.umask=0022 -c core.autocrlf=false -c core.eol=lf archive --format=tar --prefix=policyd-rate-limit-${VERSION}/ HEAD | \
	    gzip -9n >policyd-rate-limit-${VERSION}.tar.gz
	@echo policyd-rate-limit-${VERSION}.tar.gz

# Debian packages of what is committed, below build/deb.
deb: dist
	@sh packaging/deb.sh ${VERSION}

# They are installed, used, purged and upgraded to in a Debian of their own; needs root.
debcheck: deb
	@${MAKE} debcheck-built

debcheck-built:
	@sh packaging/debcheck.sh

clean:
	rm -rf build compile_commands.json
	rm -f ${OBJECTS} ${DEPENDS} ${UNIT_SRCS:.c=.o} ${LEDGER_TEST_SRCS:.c=.o} ${LEDGER_RIG_SRCS:.c=.o} ${UNIT_TESTS} \
	    ${FUZZ_OBJS} ${RIG_PGSQL_OBJS} ${RIG_MYSQL_OBJS} ${PGSQL_TESTS} ${MYSQL_TESTS} ${BENCH_OBJS} ${ATTACK_SRCS:.c=.o} ${LIAR_SRCS:.c=.o}
