# The one list of sources, read by GNU make and BSD make alike.

LIB_SRCS =	src/lib/addr.c src/lib/alloc.c src/lib/clock.c src/lib/log.c \
		src/lib/map.c src/lib/num.c src/lib/scrub.c src/lib/str.c \
		src/lib/str_text.c src/lib/width.c src/lib/window.c
IPC_SRCS =	src/ipc/buffer.c src/ipc/channel.c src/ipc/message.c \
		src/ipc/message_charge.c src/ipc/message_control.c \
		src/ipc/message_refusal.c src/ipc/wire.c
# What every role needs to receive its settings; the parsers are the parent's alone.
CONF_SRCS =	src/conf/access.c src/conf/addressee.c src/conf/connection.c src/conf/settings_message.c src/conf/fault.c \
		src/conf/ids.c src/conf/limits.c \
		src/conf/mailbox.c src/conf/match.c src/conf/member.c \
		src/conf/normal.c src/conf/reader.c src/conf/syntax/repr.c src/conf/rule_lock.c src/conf/rules.c \
		src/conf/settings.c src/conf/table.c \
		src/conf/value.c
# Reads one literal, as the ledgers do with a row of limits.
LITERAL_SRCS =	src/conf/syntax/expression.c src/conf/syntax/literal.c src/conf/syntax/number.c \
		src/conf/syntax/token.c
CONF_READ_SRCS = src/conf/check.c src/conf/check_action.c src/conf/check_rules.c \
		src/conf/load.c src/conf/syntax/scalar.c src/conf/trust.c \
		src/conf/syntax/yaml.c \
		${LITERAL_SRCS}
SANDBOX_SRCS_Linux =	src/sandbox/landlock.c src/sandbox/linux.c src/sandbox/seccomp.c
SANDBOX_SRCS_OpenBSD =	src/sandbox/openbsd.c
SANDBOX_SRCS_FreeBSD =	src/sandbox/freebsd.c
SANDBOX_SRCS_NetBSD =	src/sandbox/netbsd.c
SANDBOX_SRCS_native =	${SANDBOX_SRCS_${OS}}
SANDBOX_SRCS_eased =	${SANDBOX_SRCS_${OS}}
SANDBOX_SRCS_none =	src/sandbox/none.c
PRIVILEGES_SRCS_Linux =	src/sandbox/capabilities.c
SANDBOX_SRCS =	src/sandbox/privileges.c src/sandbox/rlimits.c \
		${PRIVILEGES_SRCS_${OS}} ${SANDBOX_SRCS_${SANDBOX}}

COMPAT_SRCS_NetBSD =	compat/explicit_bzero.c compat/freezero.c
COMPAT_SRCS_FreeBSD =	compat/freezero.c
COMPAT_SRCS_Linux =	compat/socketcall.c
COMPAT_SRCS =	${COMPAT_SRCS_${OS}}

ROLE_SRCS =	src/role/role.c
# Pure: used by the ledger and by the memory of the engine.
DECISION_SRCS =	src/decision/decision.c src/decision/habit.c \
		src/decision/instance.c src/decision/lock.c \
		src/decision/override.c src/decision/simulate.c
TOP_SRCS =	src/conf/stored_id.c src/role/tally.c src/role/top.c
COMMON_SRCS =	${LIB_SRCS} ${DECISION_SRCS} ${TOP_SRCS} ${IPC_SRCS} ${CONF_SRCS} ${SANDBOX_SRCS} ${COMPAT_SRCS}

PARENT_SRCS =	src/parent/activation.c src/parent/background.c \
		src/parent/child.c src/parent/children.c \
		src/parent/directories.c src/parent/main.c \
		src/parent/maintenance.c src/parent/messages.c \
		src/parent/notify.c src/parent/options.c src/parent/parent.c \
		src/parent/pidlock.c src/parent/readable.c src/parent/relay.c \
		src/parent/reload.c src/parent/run_as.c src/parent/serve.c \
		src/parent/signals.c src/parent/sockets.c \
		src/parent/unixsocket.c src/parent/tasks.c
ENGINE_SRCS =	src/engine/main.c ${ENGINE_ROOM_SRCS}
LEDGER_SRCS =	src/ledger/main.c src/ledger/ledger.c src/ledger/dispatch.c \
		src/ledger/orphans.c \
		src/ledger/inquiry.c src/ledger/seek.c src/ledger/top_rows.c \
		src/ledger/try_rows.c src/ledger/upkeep.c \
		${LEDGER_PURE_SRCS} ${LITERAL_SRCS}
LEDGER_SQLITE_SRCS = src/ledger/pack.c src/ledger/store_shared.c \
		src/ledger/sqlite/bloom.c src/ledger/sqlite/checkpointer.c \
		src/ledger/sqlite/sqlite.c src/ledger/sqlite/sqlite_directory.c \
		src/ledger/sqlite/memtable.c src/ledger/sqlite/store_sqlite.c \
		src/ledger/sqlite/store_sqlite_batch.c \
		src/ledger/sqlite/store_sqlite_clean.c \
		src/ledger/sqlite/store_sqlite_execute.c \
		src/ledger/sqlite/store_sqlite_open.c \
		src/ledger/sqlite/store_sqlite_read.c \
		src/ledger/sqlite/store_sqlite_runs.c \
		src/ledger/sqlite/store_sqlite_statements.c \
		src/ledger/sqlite/store_sqlite_work.c
# What those of servers share.
LEDGER_SERVER_SRCS = src/ledger/server/foreign.c src/ledger/server/sums.c \
		src/ledger/server/writers.c src/ledger/pack.c src/ledger/store_shared.c
LEDGER_PGSQL_SRCS = ${LEDGER_SERVER_SRCS} src/ledger/pgsql/pgsql.c \
		src/ledger/pgsql/pgsql_connect.c \
		src/ledger/pgsql/store_pgsql_batch.c src/ledger/pgsql/store_pgsql_base.c \
		src/ledger/pgsql/store_pgsql_clean.c \
		src/ledger/pgsql/store_pgsql_flush.c src/ledger/pgsql/store_pgsql_foreign.c \
		src/ledger/pgsql/store_pgsql_open.c \
		src/ledger/pgsql/store_pgsql_read.c
LEDGER_MYSQL_SRCS = ${LEDGER_SERVER_SRCS} src/ledger/mysql/mysqldb.c \
		src/ledger/mysql/mysqldb_connect.c src/ledger/mysql/store_mysql_batch.c \
		src/ledger/mysql/store_mysql_base.c \
		src/ledger/mysql/store_mysql_clean.c src/ledger/mysql/store_mysql_foreign.c \
		src/ledger/mysql/store_mysql_lock.c \
		src/ledger/mysql/store_mysql_flush.c src/ledger/mysql/store_mysql_open.c \
		src/ledger/mysql/store_mysql_read.c \
		src/ledger/mysql/store_mysql_tables.c
REPORT_SRCS =	src/report/connect.c src/report/main.c src/report/session.c \
		src/report/tls.c ${REPORT_PURE_SRCS}
CTL_SRCS =	src/ctl/main.c ${CTL_ROOM_SRCS}
CTL_ROOM_SRCS =	src/ctl/answer.c src/ctl/ask.c src/ctl/candidate.c \
		src/ctl/duration.c src/ctl/follow.c \
		src/ctl/health.c src/ctl/json.c \
		src/ctl/openmetrics.c src/ctl/page.c src/ctl/page_html.c \
		src/ctl/page_style.c src/ctl/question.c src/ctl/rejected.c \
		src/ctl/show.c src/ctl/show_top.c src/ctl/show_try.c \
		src/ctl/show_why.c src/ctl/terminal.c src/ctl/wrap.c

# Everything that a unit test may link: all but the mains, one database at the most.
UNIT_ROOM_SRCS = ${COMMON_SRCS} ${ROLE_SRCS} ${CONF_READ_SRCS} src/conf/paths.c \
		src/parent/messages.c src/parent/options.c \
		${ENGINE_ROOM_SRCS} ${LEDGER_PURE_SRCS} \
		${LEDGER_SQLITE_SRCS} src/ledger/server/foreign.c \
		src/ledger/server/writers.c ${REPORT_PURE_SRCS} \
		${CTL_ROOM_SRCS} ${LEDGER_RIG_SRCS}
# A ledger without its channels, for the tests of it with its database.
LEDGER_RIG_SRCS = regress/ledger/outsider.c regress/ledger/outsider_sqlite.c \
		regress/ledger/rig.c
# What has to hold with each of the databases, and what is about SQLite alone.
LEDGER_SUITE_SRCS = regress/ledger/charges.c regress/ledger/habits.c \
		regress/ledger/hits.c regress/ledger/ids.c regress/ledger/limits.c regress/ledger/model.c
LEDGER_TEST_SRCS = ${LEDGER_SUITE_SRCS} regress/ledger/sqlite_faults.c \
		regress/ledger/sqlite_clean.c regress/ledger/sqlite_tables.c
# The same rig with a server: regress/servers/ledger.t starts one.
RIG_PGSQL_SRCS = regress/ledger/outsider_pgsql.c \
		regress/ledger/outsider_server.c ${LEDGER_PGSQL_SRCS}
RIG_MYSQL_SRCS = regress/ledger/outsider_mysql.c \
		regress/ledger/outsider_server.c ${LEDGER_MYSQL_SRCS}
ENGINE_ROOM_SRCS = src/engine/action.c src/engine/apply.c src/engine/apply_lock.c \
		src/engine/blocks.c src/engine/budget.c src/engine/client.c \
		src/engine/events.c src/engine/identity.c src/engine/ledger_link.c \
		src/engine/listen.c src/engine/locks.c src/engine/loop_clock.c \
		src/engine/maillog.c src/engine/mapping.c \
		src/engine/memory.c src/engine/pending.c src/engine/policy.c \
		src/engine/refusal.c src/engine/replay.c src/engine/reply.c \
		src/engine/request.c src/engine/respond.c src/engine/stage.c \
		src/engine/stats.c \
		src/engine/control/audit.c src/engine/control/away.c \
		src/engine/control/change.c \
		src/engine/control/change_habit.c src/engine/control/change_list.c \
		src/engine/control/command.c src/engine/control/command_top.c \
		src/engine/control/control.c src/engine/control/control_words.c \
		src/engine/control/explain.c src/engine/control/explain_id.c \
		src/engine/control/metrics.c src/engine/control/scan_queue.c \
		src/engine/control/try.c src/engine/control/why.c
LEDGER_PURE_SRCS = src/ledger/batch/batch_delay.c src/ledger/batch/charge.c \
		src/ledger/batch/charge_transaction.c src/ledger/batch/charge_change.c \
		src/ledger/batch/charge_gather.c src/ledger/batch/charge_queue.c \
		src/ledger/batch/verdict.c src/ledger/batch/verdict_habit.c \
		src/ledger/cache.c src/ledger/clean.c src/ledger/habits.c \
		src/ledger/history.c src/ledger/hits.c src/ledger/id.c \
		src/ledger/lookup.c src/ledger/notices.c \
		src/ledger/override_table.c src/ledger/schema.c
REPORT_PURE_SRCS = src/report/base64.c src/report/hitlist.c src/report/mail.c \
		src/report/mail_text.c src/report/smtp.c src/report/smtp_auth.c \
		src/report/smtp_machine.c src/report/smtp_mail.c
POLLER_SRCS_Linux =	regress/bench/poller_epoll.c
POLLER_SRCS_FreeBSD =	regress/bench/poller_kqueue.c
POLLER_SRCS_NetBSD =	regress/bench/poller_kqueue.c
POLLER_SRCS_OpenBSD =	regress/bench/poller_kqueue.c
BENCH_COMMON_SRCS = regress/bench/endpoint.c ${POLLER_SRCS_${OS}}
FLOOR_SRCS =	regress/bench/floor.c
LOAD_SRCS =	regress/bench/histogram.c regress/bench/link.c \
		regress/bench/load.c regress/bench/result.c \
		regress/bench/traffic.c
# A fixed amount of work, in which instructions are counted.
SCENARIO_SRCS =	regress/bench/scenario.c
# Drives the decision engine alone, with a clock of its own.
SIMULATION_SRCS = regress/bench/simulated.c regress/bench/simulation.c
BENCH_SRCS =	${BENCH_COMMON_SRCS} ${FLOOR_SRCS} ${LOAD_SRCS} \
		${SCENARIO_SRCS} ${SIMULATION_SRCS}
# Plays a role that was taken over, regress/sandbox; Linux with its sandbox only.
ATTACK_SRCS =	regress/sandbox/attack.c regress/sandbox/files.c \
		regress/sandbox/kernel.c regress/sandbox/network.c \
		regress/sandbox/processes.c regress/sandbox/work.c
# An engine that lies, beside a parent that starts it: regress/sandbox/liar.t.
LIAR_SRCS =	regress/sandbox/liar.c regress/sandbox/liar_put.c regress/sandbox/lie.c
