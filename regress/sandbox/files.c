#include <sys/types.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "attack.h"

static char *
in_directory(const struct scene *s, const char *name)
{
	static char	path[2][512];
	static int	next;
	char		*p = path[next++ % 2];

	snprintf(p, sizeof(path[0]), "%s/%s", s->directory, name);
	return p;
}

static int
open_file(struct scene *s)
{
	return attack_kept(open(s->file, O_RDONLY));
}

static int
open_directory(struct scene *s)
{
	return attack_kept(open(s->directory, O_RDONLY | O_DIRECTORY));
}

static int
open_for_writing(struct scene *s)
{
	return attack_kept(open(in_directory(s, "made"), O_WRONLY | O_CREAT,
	    0600));
}

static int
open_maps(struct scene *s)
{
	(void)s;
	return attack_kept(open("/proc/self/maps", O_RDONLY));
}

static int
open_memory(struct scene *s)
{
	char	path[64];

	snprintf(path, sizeof(path), "/proc/%ld/mem", (long)s->victim);
	return attack_kept(open(path, O_RDWR));
}

static int
open_how(struct scene *s)
{
	uint64_t	how[3] = { O_RDONLY, 0, 0 };

	return attack_kept((int)syscall(SYS_openat2, AT_FDCWD, s->file, how,
	    sizeof(how)));
}

static int
make_directory(struct scene *s)
{
	return mkdir(in_directory(s, "dir"), 0700);
}

static int
remove_file(struct scene *s)
{
	return unlink(in_directory(s, "victim"));
}

static int
rename_file(struct scene *s)
{
	return rename(in_directory(s, "victim"), in_directory(s, "stolen"));
}

static int
link_file(struct scene *s)
{
	return link(in_directory(s, "victim"), in_directory(s, "hard"));
}

static int
link_symbolically(struct scene *s)
{
	return symlink("/etc", in_directory(s, "soft"));
}

static int
make_fifo(struct scene *s)
{
	return mknod(in_directory(s, "fifo"), S_IFIFO | 0600, 0);
}

static int
truncate_file(struct scene *s)
{
	return truncate(in_directory(s, "victim"), 0);
}

static int
change_mode(struct scene *s)
{
	return chmod(in_directory(s, "victim"), 0644);
}

static int
change_root(struct scene *s)
{
	return chroot(s->directory);
}

static int
change_directory(struct scene *s)
{
	return chdir(s->directory);
}

static int
watch_file(struct scene *s)
{
	int	fd;

	if ((fd = inotify_init1(0)) == -1)
		return -1;
	return attack_kept(inotify_add_watch(fd, s->directory, IN_ALL_EVENTS));
}

static int
mount_something(struct scene *s)
{
	return mount("none", s->directory, "tmpfs", 0, NULL);
}

static int
make_memory_file(struct scene *s)
{
	(void)s;
	return attack_kept(memfd_create("x", 0));
}

static int
make_setuid(struct scene *s)
{
	return attack_kept(open(in_directory(s, "setuid"), O_WRONLY | O_CREAT,
	    06700));
}

static int
make_unnamed(struct scene *s)
{
	return attack_kept(open(s->directory, O_WRONLY | O_TMPFILE, 0600));
}

static int
set_setuid(struct scene *s)
{
	return fchmod(s->file_fd, 06755);
}

static int
give_away(struct scene *s)
{
	return fchown(s->file_fd, (uid_t)-1, (gid_t)-1);
}

static int
lock_file(struct scene *s)
{
	return flock(s->file_fd, LOCK_SH);
}

const struct attempt	files_attempts[] = {
	{ "open-file", "openat|open", USER, open_file },
	{ "open-directory", "openat|open", USER, open_directory },
	{ "open-for-writing", "openat|open", USER, open_for_writing },
	{ "open-proc-maps", "openat|open", USER, open_maps },
	{ "open-proc-mem", "openat|open", USER, open_memory },
	{ "open-setuid", "openat|open", USER, make_setuid },
	{ "open-unnamed", "openat|open", NOBODY, make_unnamed },
	{ "fchmod-setuid", "fchmod", USER, set_setuid },
	{ "fchown", "fchown", USER, give_away },
	{ "flock", "flock", USER, lock_file },
	{ "openat2", "openat2", USER, open_how },
	{ "mkdir", "mkdir|mkdirat", USER, make_directory },
	{ "unlink", "unlink|unlinkat", USER, remove_file },
	{ "rename", "rename|renameat", USER, rename_file },
	{ "link", "link|linkat", USER, link_file },
	{ "symlink", "symlink|symlinkat", USER, link_symbolically },
	{ "mknod", "mknod|mknodat", USER, make_fifo },
	{ "truncate", "truncate", USER, truncate_file },
	{ "chmod", "chmod|fchmodat", USER, change_mode },
	{ "chroot", "chroot", ROOT, change_root },
	{ "chdir", "chdir", USER, change_directory },
	{ "inotify", "inotify_init1", USER, watch_file },
	{ "mount", "mount", NOBODY, mount_something },
	{ "memfd", "memfd_create", USER, make_memory_file },
	{ NULL, NULL, NOBODY, NULL }
};
