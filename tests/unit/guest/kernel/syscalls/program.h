// Program: calls system calls about files as a program does, from memory of its own.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <string>

#include "guest/kernel/syscalls/files.h"
#include "tests/unit/guest/kernel/fs/fake_kernel.h"

namespace shoal::guest::fake {

inline constexpr std::uint64_t cwd = static_cast<std::uint64_t>(-100);  // AT_FDCWD
inline constexpr UserAddress buffer = user_start + 0x10000;
inline constexpr UserAddress bad = 0x1000;

// A program: its paths and data go to places of their own in its memory.
struct Program {
    Kernel kernel;
    FileContext context{kernel.files, kernel.source.table, kernel.source,
                        EntryRef{&kernel.files.root()}};

    template <class... Arguments>
    std::int64_t call(FileCall& function, Arguments... arguments) {
        next_ = user_start;
        return function(context, CallArguments{argument(arguments)...});
    }
    std::int64_t open(std::string_view path, int flags, unsigned mode = 0644) {
        return call(sys_open, path, flags, mode);
    }
    std::int64_t write(std::int64_t fd, std::string_view text) {
        put_user(buffer, text);
        return call(sys_write, fd, buffer, text.size());
    }
    std::string read(std::int64_t fd, std::size_t count) {
        const std::int64_t got = call(sys_read, fd, buffer, count);
        return got < 0 ? "errno " + std::to_string(-got)
                       : get_user(buffer, static_cast<std::size_t>(got));
    }
    template <class T>
    T value() {
        T result;
        std::memcpy(&result, user_bytes(buffer, sizeof result).data(), sizeof result);
        return result;
    }
    template <class T>
    void set(UserAddress at, const T& from) {
        std::memcpy(user_bytes(at, sizeof from).data(), &from, sizeof from);
    }
    std::string text(std::int64_t size) {
        return size < 0 ? "errno " + std::to_string(-size)
                        : get_user(buffer, static_cast<std::size_t>(size));
    }

private:
    std::uint64_t argument(std::string_view path) {
        const UserAddress at = put_user(next_, std::string{path} + '\0');
        next_ += path.size() + 1;
        return at;
    }
    std::uint64_t argument(const char* path) { return argument(std::string_view{path}); }
    template <class T>
    std::uint64_t argument(T number) {
        return static_cast<std::uint64_t>(number);
    }

    UserAddress next_ = user_start;
};

}  // namespace shoal::guest::fake
