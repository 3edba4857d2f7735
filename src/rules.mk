# The one set of rules, read by GNU make and BSD make alike: no `$^`, no pattern rules,
# no conditionals. A packager's CC, CPPFLAGS, CFLAGS and LDFLAGS are never written over.

PREFIX ?=	/usr/local
SBINDIR ?=	${PREFIX}/sbin
LIBEXECDIR ?=	${PREFIX}/libexec/policyd-rate-limit
MANDIR ?=	${PREFIX}/share/man
SYSCONFDIR ?=	/etc
EXAMPLEDIR ?=	${PREFIX}/share/examples/policyd-rate-limit
RUNDIR ?=	/var/run/policyd-rate-limit
STATEDIR ?=	/var/lib/policyd-rate-limit
LEDGERS ?=	sqlite
VERSION =	2.0.0

PC =		${CPPFLAGS} -I src -I compat ${OS_CPPFLAGS_${OS}}
OS_CPPFLAGS_Linux = -isystem /usr/include/bsd -DLIBBSD_OVERLAY -D_GNU_SOURCE
OS_CPPFLAGS_NetBSD = -D_OPENBSD_SOURCE
OS_LIBS_Linux =	-lbsd
SANDBOX_LIBS_Linux = -lseccomp
WARNINGS =	-std=c11 -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes \
		-Wmissing-prototypes -Wpointer-arith -Wcast-qual -Wwrite-strings \
		-Wformat=2 -Wundef -Wvla
CFLAGS ?=	-O2 -g
ALL_CFLAGS =	${WARNINGS} ${CFLAGS} -MMD -MP

COMMON_OBJS =	${COMMON_SRCS:.c=.o}
PARENT_OBJS =	${PARENT_SRCS:.c=.o} ${CONF_READ_SRCS:.c=.o}
CHILD_OBJS =	${COMMON_SRCS:.c=.o} ${ROLE_SRCS:.c=.o}

.SUFFIXES: .c .o .test
.c.o:
	${CC} ${PC} ${ALL_CFLAGS} -c -o $@ $<
