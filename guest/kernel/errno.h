// Errno: why a system call fails. The values are Linux's.
#pragma once

#include <cstdint>
#include <expected>

namespace shoal::guest {

enum class Errno : int {
    perm = 1,
    noent = 2,
    srch = 3,
    intr = 4,
    io = 5,
    nxio = 6,
    toobig = 7,
    noexec = 8,
    badf = 9,
    child = 10,
    again = 11,
    nomem = 12,
    acces = 13,
    fault = 14,
    notblk = 15,
    busy = 16,
    exist = 17,
    xdev = 18,
    nodev = 19,
    notdir = 20,
    isdir = 21,
    inval = 22,
    nfile = 23,
    mfile = 24,
    notty = 25,
    txtbsy = 26,
    fbig = 27,
    nospc = 28,
    spipe = 29,
    rofs = 30,
    mlink = 31,
    pipe = 32,
    dom = 33,
    range = 34,
    deadlk = 35,
    nametoolong = 36,
    nolck = 37,
    nosys = 38,
    notempty = 39,
    loop = 40,
    nodata = 61,
    overflow = 75,
    proto = 71,
    libbad = 80,
    notsock = 88,
    destaddrreq = 89,
    msgsize = 90,
    prototype = 91,
    noprotoopt = 92,
    protonosupport = 93,
    socktnosupport = 94,
    opnotsupp = 95,
    afnosupport = 97,
    addrinuse = 98,
    addrnotavail = 99,
    netdown = 100,
    netunreach = 101,
    connaborted = 103,
    connreset = 104,
    nobufs = 105,
    isconn = 106,
    notconn = 107,
    timedout = 110,
    connrefused = 111,
    hostunreach = 113,
    already = 114,
    inprogress = 115,
    uclean = 117,  // a damaged file system
};

// A value, or why there is none. Has the part of std::expected's interface that the kernel uses;
// clang 14, which fuzzes this code, cannot destroy a std::expected of a class with a destructor.
template <class T>
class [[nodiscard]] Result {
public:
    constexpr Result(T value) noexcept : value_{static_cast<T&&>(value)} {}
    constexpr Result(std::unexpected<Errno> failure) noexcept : error_{failure.error()} {}

    [[nodiscard]] constexpr bool has_value() const noexcept { return error_ == Errno{}; }
    constexpr explicit operator bool() const noexcept { return has_value(); }
    // Only if there is no value.
    [[nodiscard]] constexpr Errno error() const noexcept { return error_; }
    // Only if there is a value.
    [[nodiscard]] constexpr T& operator*() noexcept { return value_; }
    [[nodiscard]] constexpr const T& operator*() const noexcept { return value_; }
    [[nodiscard]] constexpr T& value() noexcept { return value_; }
    [[nodiscard]] constexpr const T& value() const noexcept { return value_; }
    constexpr T* operator->() noexcept { return &value_; }
    constexpr const T* operator->() const noexcept { return &value_; }

private:
    T value_{};
    Errno error_{};
};

template <>
class [[nodiscard]] Result<void> {
public:
    constexpr Result() noexcept = default;
    constexpr Result(std::unexpected<Errno> failure) noexcept : error_{failure.error()} {}

    [[nodiscard]] constexpr bool has_value() const noexcept { return error_ == Errno{}; }
    constexpr explicit operator bool() const noexcept { return has_value(); }
    [[nodiscard]] constexpr Errno error() const noexcept { return error_; }

private:
    Errno error_{};
};

// `return fail(Errno::inval);` in a function that returns a Result.
[[nodiscard]] constexpr std::unexpected<Errno> fail(Errno error) noexcept {
    return std::unexpected<Errno>{error};
}

// What a system call returns for an error.
[[nodiscard]] constexpr std::int64_t negative(Errno error) noexcept {
    return -static_cast<std::int64_t>(error);
}

}  // namespace shoal::guest
