// Typed ioctls on KVM's file descriptors. The size inside the request number is compared with the
// argument's type at compile time. Throws std::system_error that names the request.
#pragma once

#include <linux/kvm.h>
#include <sys/ioctl.h>

#include <cerrno>

#include "devices/host/os_error.h"

namespace shoal::kvm {

// A request that takes a number (or nothing).
template <unsigned long request>
int call(int fd, const char* name, unsigned long argument = 0) {
    static_assert(_IOC_SIZE(request) == 0, "the request takes a structure");
    return host::check_os(::ioctl(fd, request, argument), name);
}

// A request that reads or writes a structure. Structures with a flexible array at their end say
// only the size of their head.
template <unsigned long request, typename T>
int call(int fd, const char* name, T* argument) {
    static_assert(_IOC_SIZE(request) == sizeof(T), "the request takes another structure");
    return host::check_os(::ioctl(fd, request, argument), name);
}

}  // namespace shoal::kvm

// The request with its name, as every caller wants it.
#define SHOAL_KVM_CALL(fd, request, ...) \
    ::shoal::kvm::call<request>(fd, #request __VA_OPT__(, ) __VA_ARGS__)
