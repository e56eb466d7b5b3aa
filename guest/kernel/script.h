// Scripts: files that start with `#!` and name the program that reads them (execve(2)).
#pragma once

#include <string_view>
#include <vector>

#include "guest/kernel/errno.h"
#include "guest/kernel/fs/file_system.h"

namespace shoal::guest {

// The program to load and the words it gets.
struct Invocation {
    EntryRef executable;
    std::vector<std::string_view> arguments;
};

// Follows `#!` lines as Linux does, up to 5 of them, each of up to 255 bytes: the interpreter, its
// one argument if there is one, `path`, and the arguments without the first. The words borrow from
// `path`, `arguments` and from memory that is never freed. ENOENT, ELOOP, ENOEXEC.
[[nodiscard]] Result<Invocation> resolve_script(const FileSystem& files, std::string_view path,
                                                std::vector<std::string_view> arguments);

}  // namespace shoal::guest
