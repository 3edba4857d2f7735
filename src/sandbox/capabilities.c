#include <sys/prctl.h>
#include <sys/syscall.h>

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "sandbox/capabilities.h"

int
capabilities_keep(const unsigned int *keep, size_t nkeep)
{
	struct __user_cap_header_struct	header;
	struct __user_cap_data_struct	data[_LINUX_CAPABILITY_U32S_3];
	uint32_t			wanted[_LINUX_CAPABILITY_U32S_3];
	uint32_t			surplus = 0;
	size_t				i;
	unsigned int			cap;

	memset(wanted, 0, sizeof(wanted));
	for (i = 0; i < nkeep; i++)
		wanted[keep[i] / 32] |= 1U << keep[i] % 32;
	/* Kernels older than 4.3 have no ambient set to clear. */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == -1 &&
	    errno != EINVAL)
		return -1;
	for (cap = 0; cap < 64; cap++) {
		/* This kernel has no further capabilities. */
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == -1)
			break;
		if ((wanted[cap / 32] & 1U << cap % 32) != 0 ||
		    prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
			continue;
		/*
		 * Not root: the capabilities in the bounding set cannot be
		 * acquired anyway.
		 */
		if (errno == EPERM)
			break;
		return -1;
	}

	memset(&header, 0, sizeof(header));
	header.version = _LINUX_CAPABILITY_VERSION_3;
	if (syscall(SYS_capget, &header, data) == -1)
		return -1;
	for (i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		surplus |= (data[i].permitted & ~wanted[i]) |
		    data[i].inheritable;
		data[i].permitted &= wanted[i];
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	/*
	 * A process that never had any may also be denied the call, by a
	 * service's filter.
	 */
	if (surplus == 0)
		return 0;
	return syscall(SYS_capset, &header, data) == -1 ? -1 : 0;
}
