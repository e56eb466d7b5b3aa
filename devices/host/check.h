// SHOAL_CHECK: an invariant of ours. When it fails the program prints the place and aborts.
#pragma once

#include <cstdio>
#include <cstdlib>

#define SHOAL_CHECK(condition)                                                                 \
    do {                                                                                       \
        if (!(condition)) [[unlikely]] {                                                       \
            std::fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #condition); \
            std::abort();                                                                      \
        }                                                                                      \
    } while (false)
