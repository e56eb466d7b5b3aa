/* What lwIP asks of its compiler and platform. Read by its C and by our C++. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

void* shoal_net_allocate(size_t size_bytes);
void* shoal_net_allocate_zeroed(size_t count, size_t size_bytes);
void shoal_net_free(void* pointer);
uint32_t shoal_net_random(void);
/* The ip6_addr_t of the gateway that the command line names, or NULL. */
const void* shoal_net_ip6_gateway(void);
void shoal_net_assertion(const char* what, int line);

#ifdef __cplusplus
}
#endif

#define BYTE_ORDER LITTLE_ENDIAN

#define LWIP_NO_INTTYPES_H 1
#define LWIP_NO_UNISTD_H 1
#define LWIP_NO_CTYPE_H 1
#define X8_F "02x"
#define U16_F "u"
#define S16_F "d"
#define X16_F "x"
#define U32_F "u"
#define S32_F "d"
#define X32_F "x"
#define SZT_F "zu"
#define SSIZE_MAX INT64_MAX

#define mem_clib_malloc shoal_net_allocate
#define mem_clib_calloc shoal_net_allocate_zeroed
#define mem_clib_free shoal_net_free

#define LWIP_RAND() shoal_net_random()
#define LWIP_PLATFORM_DIAG(message)
#define LWIP_PLATFORM_ASSERT(message) shoal_net_assertion(message, __LINE__)
