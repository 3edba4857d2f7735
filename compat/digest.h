#ifndef COMPAT_DIGEST_H
#define COMPAT_DIGEST_H

/*
 * SHA-256 with the names of OpenBSD's sha2(3), which libmd has on Linux too.
 * FreeBSD's libmd and NetBSD's libc have the same functions with other names.
 */
#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#if defined(__FreeBSD__)
#if __has_include(<sha256.h>)
#include <sha256.h>
#else
/* For cross compilers with only libc's headers: as in sha256(3). */
struct SHA256Context {
	uint32_t	state[8];
	uint64_t	count;
	uint8_t		buf[64];
};
#define SHA256_CTX	struct SHA256Context
void	SHA256_Init(SHA256_CTX *);
void	SHA256_Update(SHA256_CTX *, const void *, size_t);
void	SHA256_Final(unsigned char[32], SHA256_CTX *);
#endif
#else
#include <sha2.h>
#endif

#if defined(__FreeBSD__) || defined(__NetBSD__)
#define SHA2_CTX	SHA256_CTX
#define SHA256Init	SHA256_Init
#define SHA256Update	SHA256_Update
#define SHA256Final	SHA256_Final
#endif

#ifndef SHA256_DIGEST_LENGTH
#define SHA256_DIGEST_LENGTH	32
#endif

#endif
