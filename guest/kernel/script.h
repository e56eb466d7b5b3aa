// Scripts: files that start with `#!` and name the program that reads them (execve(2)).
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "guest/kernel/errno.h"
#include "guest/kernel/fs/file_system.h"

namespace shoal::guest {

// What a `#!` line says.
struct ScriptLine {
    std::string_view interpreter;  // empty: the file is no script
    std::string_view argument;     // the rest of the line, blanks and all; may be empty
};

inline constexpr std::size_t script_line_max = 255;  // BINPRM_BUF_SIZE without a NUL
inline constexpr unsigned script_depth_max = 5;

// Reads the line into `bytes`, where the words then are. ENOEXEC.
[[nodiscard]] Result<ScriptLine> read_script_line(const Inode& file,
                                                  std::span<char, script_line_max> bytes);

// The program to load and the words it gets.
struct Invocation {
    EntryRef executable;
    std::vector<std::string_view> arguments;  // some of them are views of `words`
    std::vector<std::vector<char>> words;     // what scripts said
};

// Follows `#!` lines as Linux does, up to script_depth_max of them: the interpreter, its
// one argument if there is one, `path`, and the arguments without the first, which are borrowed, as
// is `path`. ENOENT, ELOOP, ENOEXEC.
[[nodiscard]] Result<Invocation> resolve_script(const FileSystem& files, std::string_view path,
                                                std::vector<std::string_view> arguments);

}  // namespace shoal::guest
