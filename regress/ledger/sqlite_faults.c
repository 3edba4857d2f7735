#include <sys/types.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "ledger/sqlite/store_sqlite.h"
#include "lib/alloc.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "rig.h"

/* What goes wrong below the ledger: the file, the disk, the process itself. */

#define PATIENCE_MS	30000

static int	write_errno, read_errno;

static int
teardown(void **state)
{
	write_errno = read_errno = 0;
	rig_free(*state);
	store_sizes.tail = 50000;
	store_sizes.chunk = 200000;
	store_sizes.load = 100000;
	return 0;
}

/* --- system calls that fail --- */

static int	writes_left = -1;	/* then it is killed; -1: it is not */

static ssize_t
failing_pwrite(int fd, const void *src, size_t len, off_t at)
{
	if (writes_left != -1 && writes_left-- == 0)
		(void)raise(SIGKILL);
	if (write_errno == 0)
		return pwrite(fd, src, len, at);
	errno = write_errno;
	return -1;
}

static ssize_t
failing_pread(int fd, void *dst, size_t len, off_t at)
{
	if (read_errno == 0)
		return pread(fd, dst, len, at);
	errno = read_errno;
	return -1;
}

static void
intercept(void)
{
	sqlite3_vfs	*vfs = sqlite3_vfs_find("unix");

	assert_non_null(vfs);
	(void)vfs->xSetSystemCall(vfs, "pwrite",
	    (sqlite3_syscall_ptr)failing_pwrite);
	(void)vfs->xSetSystemCall(vfs, "pwrite64",
	    (sqlite3_syscall_ptr)failing_pwrite);
	(void)vfs->xSetSystemCall(vfs, "pread",
	    (sqlite3_syscall_ptr)failing_pread);
	(void)vfs->xSetSystemCall(vfs, "pread64",
	    (sqlite3_syscall_ptr)failing_pread);
}

/* --- the disk --- */

/*
 * Who is over the limit is refused all the same, nobody else is told anything.
 */
static void
cannot_write(struct rig *r, int error)
{
	struct rig_charge	c;
	uint64_t		n;

	assert_int_equal(rig_room(r, "bob", 3, 60), 3);
	write_errno = error;
	rig_charge(&c, "eve", 1, 3, 60);
	n = rig_add(r, &c);
	rig_charge(&c, "bob", 1, 3, 60);
	c.m.keys[0].report = true;
	c.m.keys[0].reported = 1;
	(void)rig_add(r, &c);
	rig_run(r);
	assert_int_equal(rig_answer(r, n)->verdict, VERDICT_UNAVAILABLE);
	assert_int_equal(rig_answer(r, n + 1)->verdict, VERDICT_REFUSED);
	assert_int_equal(rig_one(r, "bob", 1, 4, 60), VERDICT_UNAVAILABLE);
	write_errno = 0;
	/* It recovers with the next request, and nothing was recorded. */
	assert_int_equal(rig_one(r, "bob", 1, 4, 60), VERDICT_ACCEPTED);
	assert_int_equal(rig_room(r, "eve", 3, 60), 3);
	assert_int_equal(rig_room(r, "bob", 4, 60), 0);
	assert_int_equal(rig_sum(r, "bob"), 4);
}

static void
disk_is_full(void **state)
{
	cannot_write(*state, ENOSPC);
}

static void
disk_became_read_only(void **state)
{
	cannot_write(*state, EROFS);
}

static void
disk_cannot_be_written(void **state)
{
	cannot_write(*state, EIO);
}

static void
disk_cannot_be_read(void **state)
{
	struct rig	*r = *state;
	int64_t		 i;

	for (i = 0; i < 300; i++)
		assert_int_equal(rig_one(r, "bob", 1, 1000, 60),
		    VERDICT_ACCEPTED);
	rig_close(r);
	read_errno = EIO;
	rig_open(r);
	assert_int_equal(rig_one(r, "bob", 1, 1000, 60), VERDICT_UNAVAILABLE);
	read_errno = 0;
	assert_int_equal(rig_one(r, "bob", 1, 300, 60), VERDICT_REFUSED);
	assert_int_equal(rig_one(r, "bob", 1, 301, 60), VERDICT_ACCEPTED);
}

/* While a run is being written, parts of it in transactions that fail. */
static void
disk_is_full_now_and_then(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	int64_t			 n = 0, i, j;

	store_sizes.tail = 100;
	for (i = 0; i < 200; i++) {
		write_errno = i % 7 == 3 ? ENOSPC : 0;
		for (j = 0; j < 5; j++) {
			rig_charge(&c, "bob", 1, 100000, 86400);
			(void)rig_add(r, &c);
		}
		rig_run(r);
		for (j = 0; j < 5; j++)
			n += rig_answer(r, r->next - 1 - (uint64_t)j)
				 ->verdict == VERDICT_ACCEPTED;
		if (i % 10 == 0)
			(void)store_idle(r->store);
	}
	write_errno = 0;
	assert_true(n > 500 && n < 1000);
	assert_int_equal(rig_sum(r, "bob"), n);
	assert_int_equal(rig_one(r, "bob", 1, n, 86400), VERDICT_REFUSED);
	rig_reopen(r);
	assert_int_equal(rig_one(r, "bob", 1, n, 86400), VERDICT_REFUSED);
	assert_int_equal(rig_one(r, "bob", 1, n + 1, 86400), VERDICT_ACCEPTED);
}

/* While the last of an older program's rows are read with a batch. */
static void
disk_is_full_while_old_rows_are_read(void **state)
{
	struct rig	*r = *state;
	int64_t		 n = 0;
	int		 failures = 0;
	bool		 fails;

	store_sizes.tail = 100;
	store_sizes.load = 1000;
	store_sizes.chunk = 900;
	rig_close(r);
	outsider_drop(r->outsider, r->path);
	(void)rig_sql(r, "CREATE TABLE mail_count (id varchar(40) NOT NULL,"
	    " date bigint NOT NULL, recipient_count int DEFAULT 1,"
	    " instance varchar(40) NOT NULL, protocol_state varchar(10)"
	    " NOT NULL);"
	    "CREATE INDEX mail_count_index ON mail_count (id, date)");
	rig_fill(r, "bob", 2000, 1);
	rig_open(r);
	do {
		fails = n > 0 && r->store->job.parts == 0 &&
		    r->store->last - r->store->read < 500;
		write_errno = fails ? ENOSPC : 0;
		failures += fails;
		n += rig_one(r, "eve", 1, 100000, 3600) == VERDICT_ACCEPTED;
	} while (r->store->behind && failures < 3);
	write_errno = 0;
	assert_true(failures > 0);
	assert_int_equal(rig_one(r, "eve", 1, n + 1, 3600), VERDICT_ACCEPTED);
	assert_int_equal(rig_one(r, "eve", 1, n + 1, 3600), VERDICT_REFUSED);
	assert_int_equal(rig_sum(r, "eve"), n + 1);
	/* What the cache has not is in the tail. */
	rig_idle(r);
	rig_reopen(r);
	assert_int_equal(rig_one(r, "eve", 1, n + 1, 3600), VERDICT_REFUSED);
	assert_int_equal(rig_one(r, "eve", 1, n + 2, 3600), VERDICT_ACCEPTED);
}

/*
 * While a batch needs earlier dates than a cleaning keeps that was interrupted:
 * it discards the runs, which are there again after its rollback.
 */
static void
disk_is_full_while_runs_are_discarded(void **state)
{
	struct rig		*r = *state;
	const struct store_kept	 kept = { RIG_NOW - 172800, INT64_MAX };
	int64_t			 n, bob, deleted, position = 0;

	store_sizes.tail = 50;
	rig_fill(r, "bob", 100, 3600);
	assert_int_equal(rig_one(r, "eve", 1, 1000, 60), VERDICT_ACCEPTED);
	rig_idle(r);
	(void)rig_sql(r, "DELETE FROM mail_count WHERE id = 'bob' AND"
	    " date = %lld", (long long)RIG_NOW);
	assert_int_equal(store_clean(r->store, &kept, 20, &position, &deleted),
	    STORE_OK);
	bob = rig_sum(r, "bob");
	rig_reopen(r);
	assert_int_equal(rig_one(r, "eve", 1, 1000, 60), VERDICT_ACCEPTED);
	assert_true(r->store->nrun > 0);
	write_errno = ENOSPC;
	assert_int_equal(rig_one(r, "bob", 1, 1000, 1000000),
	    VERDICT_UNAVAILABLE);
	write_errno = 0;
	assert_int_equal(rig_one(r, "bob", 1, bob, 1000000), VERDICT_REFUSED);
	for (n = 2; n < 300; n++) {
		assert_int_equal(rig_one(r, "eve", 1, 1000, 60),
		    VERDICT_ACCEPTED);
		if (n % 10 == 0)
			rig_idle(r);
	}
	rig_reopen(r);
	assert_int_equal(rig_one(r, "bob", 1, bob, 1000000), VERDICT_REFUSED);
	assert_int_equal(rig_one(r, "bob", 1, bob + 1, 1000000),
	    VERDICT_ACCEPTED);
	assert_int_equal(rig_one(r, "eve", 1, n, 60), VERDICT_REFUSED);
	assert_int_equal(rig_one(r, "eve", 1, n + 1, 60), VERDICT_ACCEPTED);
}

/* --- the file --- */

/*
 * Asks until the answer is another one, and returns that. While a database is
 * made anew there may be none.
 */
static int
eventually(struct rig *r, const char *id, int64_t mails, int not)
{
	struct mono	deadline = clock_after(clock_mono(), PATIENCE_MS);
	int		verdict;

	do {
		verdict = rig_one(r, id, 1, mails, 60);
		r->next = 0;
	} while ((verdict == not || verdict == VERDICT_UNAVAILABLE) &&
	    !clock_passed(deadline, clock_mono()));
	return verdict;
}

/* Nobody waits for ever where somebody else has the database for himself. */
static void
nobody_is_answered(struct rig *r)
{
	int64_t	usual = r->timeout;

	r->timeout = 200;
	assert_int_equal(rig_one(r, "bob", 1, 3, 60), VERDICT_UNAVAILABLE);
	r->timeout = usual;
}

static void
database_is_locked(void **state)
{
	struct rig	*r = *state;

	assert_int_equal(rig_one(r, "bob", 1, 3, 60), VERDICT_ACCEPTED);
	(void)rig_sql(r, "BEGIN EXCLUSIVE");
	nobody_is_answered(r);
	(void)rig_sql(r, "ROLLBACK");
	assert_int_equal(rig_room(r, "bob", 3, 60), 2);
}

static void
locked_at_the_start(void **state)
{
	struct rig	*r = *state;

	assert_int_equal(rig_one(r, "bob", 1, 3, 60), VERDICT_ACCEPTED);
	rig_close(r);
	(void)rig_sql(r, "BEGIN EXCLUSIVE");
	rig_open(r);
	nobody_is_answered(r);
	(void)rig_sql(r, "ROLLBACK");
	assert_int_equal(rig_room(r, "bob", 3, 60), 2);
}

/* Whom a lock of a moment keeps from opening the file, that waits for it. */
static void
locked_for_a_moment(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	uint64_t		 request;

	rig_close(r);
	/* So that it may not even be read. */
	(void)rig_sql(r, "PRAGMA journal_mode = delete");
	(void)rig_sql(r, "BEGIN EXCLUSIVE");
	rig_open(r);
	rig_charge(&c, "bob", 1, 3, 60);
	request = rig_add(r, &c);
	assert_int_equal(rig_run_once(r), STORE_BUSY);
	(void)rig_sql(r, "ROLLBACK");
	rig_run(r);
	assert_int_equal(rig_answer(r, request)->verdict, VERDICT_ACCEPTED);
}

/* All files of the database, or another end of their names. */
static void
remove_database(struct rig *r)
{
	static const char *const	end[] = { "", "-wal", "-shm" };
	char				*name;
	size_t				i;

	for (i = 0; i < 3; i++) {
		name = alloc_printf("%s%s", r->path, end[i]);
		(void)unlink(name);
		free(name);
	}
}

static void
database_is_removed(void **state)
{
	struct rig	*r = *state;

	assert_int_equal(rig_room(r, "bob", 3, 60), 3);
	remove_database(r);
	/* Seen within a second or so; then all is new. */
	assert_int_equal(eventually(r, "bob", 3, VERDICT_REFUSED),
	    VERDICT_ACCEPTED);
	assert_int_equal(rig_sum(r, "bob"), 1);
}

/* To another name in its directory. */
static void
database_is_a_link(void **state)
{
	struct rig	*r = *state;
	char		*real;

	assert_int_equal(rig_one(r, "bob", 1, 3, 60), VERDICT_ACCEPTED);
	rig_close(r);
	real = alloc_printf("%s.real", r->path);
	assert_int_equal(rename(r->path, real), 0);
	assert_int_equal(symlink(strrchr(real, '/') + 1, r->path), 0);
	free(real);
	rig_open(r);
	assert_int_equal(rig_room(r, "bob", 3, 60), 2);
}

static void
database_is_replaced(void **state)
{
	struct rig	*r = *state, *other = rig_new();

	rig_open(other);
	assert_int_equal(rig_room(other, "bob", 5, 60), 5);
	rig_close(other);
	assert_int_equal(rig_one(r, "bob", 1, 5, 60), VERDICT_ACCEPTED);
	remove_database(r);
	assert_int_equal(rename(other->path, r->path), 0);
	assert_int_equal(eventually(r, "bob", 5, VERDICT_ACCEPTED),
	    VERDICT_REFUSED);
	rig_free(other);
}

static void
database_is_garbage(void **state)
{
	static const char garbage[] = "this is no database, and never was";
	struct rig		*r = *state;
	char			 bytes[8192];
	size_t			 i;
	int			 fd;

	assert_int_equal(rig_room(r, "bob", 3, 60), 3);
	rig_close(r);
	remove_database(r);
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = garbage[i % (sizeof(garbage) - 1)];
	fd = open(r->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	close(fd);
	rig_open(r);
	assert_int_equal(rig_one(r, "bob", 1, 3, 60), VERDICT_UNAVAILABLE);
	assert_true(strlen(store_error(r->store)) > 0);
	remove_database(r);
	assert_int_equal(eventually(r, "bob", 3, VERDICT_UNAVAILABLE),
	    VERDICT_ACCEPTED);
}

/*
 * Pages overwritten while it is in use: any answer but no end, until it is
 * gone.
 */
static void
database_gets_damaged(void **state)
{
	struct rig	*r = *state;
	char		 bytes[4096];
	off_t		 at;
	int		 fd;

	memset(bytes, 0xa5, sizeof(bytes));
	assert_int_equal(rig_room(r, "bob", 200, 60), 200);
	rig_reopen(r);
	fd = open(r->path, O_WRONLY | O_CLOEXEC);
	for (at = 4096; at < 40960; at += 4096)
		assert_int_equal(pwrite(fd, bytes, sizeof(bytes), at),
		    sizeof(bytes));
	close(fd);
	(void)rig_one(r, "bob", 1, 300, 60);
	(void)rig_one(r, "eve", 1, 300, 60);
	rig_reopen(r);
	assert_int_equal(rig_one(r, "eve", 1, 300, 60), VERDICT_UNAVAILABLE);
	remove_database(r);
	assert_int_equal(eventually(r, "bob", 3, VERDICT_UNAVAILABLE),
	    VERDICT_ACCEPTED);
}

static void
no_database_in_the_settings(void **state)
{
	struct rig			*r = *state;
	const struct store_opening	 opening = {
		.settings = r->settings,
		.directory = r->directory,
		.replaces = true
	};
	char				 reason[100] = "";
	bool				 away;

	value_set(r->settings->sqlite_config, value_str("database", 8),
	    value_str("/var/lib/", 9));
	assert_null(store_open(&opening, &away, reason, sizeof(reason)));
	assert_false(away);
	assert_true(strlen(reason) > 0);
}

/* --- processes --- */

/* What was answered before the kill, and what was only asked. */
struct progress {
	int64_t	asked;
	int64_t	answered;
};

static void
load(struct rig *r, int out, int64_t from)
{
	struct rig_charge	c;
	struct progress		at = { from, from };
	char			*instance;
	int			i;

	for (;;) {
		for (i = 0; i < 10; i++) {
			instance = alloc_printf("i%lld", (long long)at.asked);
			rig_charge(&c, "bob", 1, 1000000, 86400);
			rig_instance(&c, instance, 0);
			(void)rig_add(r, &c);
			free(instance);
			at.asked++;
		}
		if (write(out, &at, sizeof(at)) != (ssize_t)sizeof(at))
			_exit(0);
		rig_run(r);
		r->next = 0;
		at.answered = at.asked;
		if (write(out, &at, sizeof(at)) != (ssize_t)sizeof(at))
			_exit(0);
		(void)store_idle(r->store);
	}
}

static void
kill_9_loses_nothing(void **state)
{
	struct rig		*r = *state;
	struct rig_charge	 c;
	struct progress		 at = { 0, 0 };
	char			*instance;
	int64_t			 i;
	pid_t			 pid;
	int			 round, fd[2], reads;

	rig_close(r);
	store_sizes.tail = 200;
	for (round = 0; round < 12; round++) {
		assert_int_equal(pipe(fd), 0);
		pid = fork();
		assert_int_not_equal(pid, -1);
		if (pid == 0) {
			close(fd[0]);
			rig_open(r);
			load(r, fd[1], at.asked);
		}
		close(fd[1]);
		for (reads = 0; reads < 20 + round * 7; reads++)
			assert_int_equal(read(fd[0], &at, sizeof(at)),
			    sizeof(at));
		kill(pid, SIGKILL);
		while (
		    read(fd[0], &at, sizeof(at)) == (ssize_t)sizeof(at))
			;
		close(fd[0]);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		/* Asked again, as the engine does of the next ledger. */
		rig_open(r);
		for (i = at.answered; i < at.asked; i++) {
			instance = alloc_printf("i%lld", (long long)i);
			rig_charge(&c, "bob", 1, 1000000, 86400);
			rig_instance(&c, instance, 0);
			assert_int_equal(rig_ask(r, &c), VERDICT_ACCEPTED);
			free(instance);
		}
		r->next = 0;
		assert_int_equal(rig_sum(r, "bob"), at.asked);
		assert_int_equal(rig_sql(r, "SELECT count(DISTINCT instance)"
		    " FROM mail_count"), at.asked);
		assert_int_equal(rig_one(r, "bob", 1, at.asked, 86400),
		    VERDICT_REFUSED);
		rig_close(r);
	}
	rig_open(r);
	assert_true(rig_sql(r, "SELECT count(*) FROM mail_run") > 0);
}

/* Killed after each number of writes, until the upgrade comes to its end. */
static void
killed_while_mail_count_is_rebuilt(void **state)
{
	struct rig	*r = *state;
	int		 n, status = 1;
	pid_t		 pid;

	rig_close(r);
	outsider_drop(r->outsider, r->path);
	(void)rig_sql(r, "CREATE TABLE mail_count (id varchar(255) NOT NULL,"
	    " date bigint NOT NULL, recipient_count int DEFAULT 1,"
	    " instance varchar(255) NOT NULL DEFAULT 'empty', protocol_state"
	    " varchar(64) NOT NULL DEFAULT '', tag bigint NOT NULL DEFAULT 0,"
	    " seq INTEGER PRIMARY KEY);"
	    "INSERT INTO mail_count (id, date) WITH RECURSIVE n (i) AS"
	    " (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
	    " SELECT 'bob', %lld - i FROM n", (long long)r->now);
	for (n = 0; status != 0; n++) {
		pid = fork();
		assert_int_not_equal(pid, -1);
		if (pid == 0) {
			log_open("ledger", LOG_TO_STDERR, -1, false);
			writes_left = n;
			rig_open(r);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(status == 0 || WTERMSIG(status) == SIGKILL);
		assert_int_equal(rig_sum(r, "bob"), 1000);
	}
	assert_true(n > 20);
	rig_open(r);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM"
	    " pragma_table_info('mail_count')"), 5);
	assert_int_equal(rig_room(r, "bob", 1003, 86400), 3);
}

static void
three_processes_take_exactly_n(void **state)
{
	enum { LIMIT = 300 };
	struct rig	*r = *state, *own;
	int64_t		 n, sum = 0;
	pid_t		 pid[3];
	int		 fd[2], i, status;

	rig_close(r);
	store_sizes.tail = 40;
	assert_int_equal(pipe(fd), 0);
	for (i = 0; i < 3; i++) {
		pid[i] = fork();
		assert_int_not_equal(pid[i], -1);
		if (pid[i] != 0)
			continue;
		own = rig_beside(r);
		own->timeout = PATIENCE_MS;
		rig_open(own);
		for (n = 0; rig_one(own, "bob", 1, LIMIT, 86400) ==
		    VERDICT_ACCEPTED; n++)
			if (n % 10 == 0)
				(void)store_idle(own->store);
		if (write(fd[1], &n, sizeof(n)) != (ssize_t)sizeof(n))
			_exit(1);
		rig_free(own);
		_exit(0);
	}
	close(fd[1]);
	while (read(fd[0], &n, sizeof(n)) == (ssize_t)sizeof(n))
		sum += n;
	close(fd[0]);
	for (i = 0; i < 3; i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(sum, LIMIT);
	rig_open(r);
	assert_int_equal(rig_sum(r, "bob"), LIMIT);
}

#define TEST(name)							\
	cmocka_unit_test_setup_teardown(name, rig_setup, teardown)

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		TEST(disk_is_full),
		TEST(disk_became_read_only),
		TEST(disk_cannot_be_written),
		TEST(disk_cannot_be_read),
		TEST(disk_is_full_now_and_then),
		TEST(disk_is_full_while_old_rows_are_read),
		TEST(disk_is_full_while_runs_are_discarded),
		TEST(database_is_locked),
		TEST(locked_at_the_start),
		TEST(locked_for_a_moment),
		TEST(database_is_removed),
		TEST(database_is_replaced),
		TEST(database_is_a_link),
		TEST(database_is_garbage),
		TEST(database_gets_damaged),
		TEST(no_database_in_the_settings),
		TEST(kill_9_loses_nothing),
		TEST(killed_while_mail_count_is_rebuilt),
		TEST(three_processes_take_exactly_n)
	};
	int	failed;

	rig_begin();
	intercept();
	failed = cmocka_run_group_tests_name("sqlite_faults", tests, NULL,
	    NULL);
	rig_end();
	return failed;
}
