#include <sys/mman.h>

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

/*
 * Linked into programs that were compiled with -finstrument-functions: each
 * process writes the functions that it enters to WALK_DIR/PID, for walk.pl. The
 * file is mapped before main, so that no sandbox is in the way.
 *
 * The file holds 64-bit numbers: how many follow the second, the address at
 * which the program was loaded, and the address of each function.
 */
#define ENTRIES	(8 * 1024 * 1024)
#define SIZE	(ENTRIES * sizeof(uint64_t))

extern char	__executable_start;

static volatile uint64_t	*walk;

__attribute__((__constructor__)) static void
walk_begin(void)
{
	char	 path[256];
	void	*map;
	int	 fd;

	(void)snprintf(path, sizeof(path), "%s/%ld", WALK_DIR, (long)getpid());
	if ((fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) == -1)
		return;
	if (ftruncate(fd, SIZE) == 0 && (map = mmap(NULL, SIZE,
	    PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)) != MAP_FAILED) {
		walk = map;
		walk[1] = (uint64_t)(uintptr_t)&__executable_start;
	}
	(void)close(fd);
}

void	__cyg_profile_func_enter(void *, void *);
void	__cyg_profile_func_exit(void *, void *);

void
__cyg_profile_func_enter(void *function, void *caller)
{
	(void)caller;
	if (walk != NULL && walk[0] + 2 < ENTRIES) {
		walk[walk[0] + 2] = (uint64_t)(uintptr_t)function;
		walk[0]++;
	}
}

void
__cyg_profile_func_exit(void *function, void *caller)
{
	(void)function;
	(void)caller;
}
