// `#!` lines.
#include "guest/kernel/script.h"

#include <algorithm>
#include <array>
#include <new>

namespace shoal::guest {
namespace {

constexpr std::size_t line_size_max = 255;  // BINPRM_BUF_SIZE without a NUL
constexpr unsigned depth_max = 5;
constexpr std::string_view blanks = " \t";

struct ScriptLine {
    std::string_view interpreter;
    std::string_view argument;  // the rest of the line, blanks and all; may be empty
};

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(blanks) + 1 - first);
}

// The words outlive the call: they become the program's arguments.
std::string_view keep(std::string_view text) {
    auto* copy = new (std::nothrow_t{}) char[text.size()];
    if (copy == nullptr) {
        return {};
    }
    std::ranges::copy(text, copy);
    return {copy, text.size()};
}

// Empty when the file is no script.
Result<ScriptLine> read_line(const Inode& file) {
    std::array<char, line_size_max> bytes{};
    const std::size_t size = file.read_at(0, std::as_writable_bytes(std::span{bytes}));
    std::string_view line{bytes.data(), size};
    if (!line.starts_with("#!")) {
        return ScriptLine{};
    }
    line = trimmed(line.substr(2, std::min(line.find('\n'), line.size()) - 2));
    const std::string_view interpreter = line.substr(0, line.find_first_of(blanks));
    if (interpreter.empty()) {
        return fail(Errno::noexec);
    }
    const ScriptLine kept{keep(interpreter), keep(trimmed(line.substr(interpreter.size())))};
    return kept.interpreter.empty() ? fail(Errno::nomem) : Result<ScriptLine>{kept};
}

}  // namespace

Result<Invocation> resolve_script(const FileSystem& files, std::string_view path,
                                  std::vector<std::string_view> arguments) {
    for (unsigned depth = 0; depth <= depth_max; ++depth) {
        const auto entry = files.find(path);
        if (!entry) {
            return fail(entry.error());
        }
        const auto line = read_line((*entry)->inode());
        if (!line) {
            return fail(line.error());
        }
        if (line->interpreter.empty()) {
            return Invocation{*entry, std::move(arguments)};
        }
        std::vector<std::string_view> words{line->interpreter};
        if (!line->argument.empty()) {
            words.push_back(line->argument);
        }
        words.push_back(path);
        if (arguments.size() > 1) {
            words.insert(words.end(), arguments.begin() + 1, arguments.end());
        }
        arguments = std::move(words);
        path = line->interpreter;
    }
    return fail(Errno::loop);
}

}  // namespace shoal::guest
