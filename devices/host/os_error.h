// Turns errno into a std::system_error that names the call. For the host's failures at set-up.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>

namespace shoal::host {

[[noreturn]] inline void throw_os_error(const std::string& what, int error = errno) {
    throw std::system_error(error, std::generic_category(), what);
}

// Passes a system call's result through; throws when it is negative.
template <typename Result>
Result check_os(Result result, const char* what) {
    if (result < 0) {
        throw_os_error(what);
    }
    return result;
}

}  // namespace shoal::host
