// `#!` lines.
#include "guest/kernel/script.h"

#include <algorithm>
#include <array>
#include <new>

namespace shoal::guest {
namespace {

constexpr std::string_view blanks = " \t";

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

Result<ScriptLine> kept(const Result<ScriptLine>& line) {
    if (!line || line->interpreter.empty()) {
        return line;
    }
    const ScriptLine copy{keep(line->interpreter), keep(line->argument)};
    return copy.interpreter.empty() ? fail(Errno::nomem) : Result<ScriptLine>{copy};
}

}  // namespace

Result<ScriptLine> read_script_line(const Inode& file, std::span<char, script_line_max> bytes) {
    const std::size_t size = file.read_at(0, std::as_writable_bytes(bytes));
    std::string_view line{bytes.data(), size};
    if (!line.starts_with("#!")) {
        return ScriptLine{};
    }
    line = trimmed(line.substr(2, std::min(line.find('\n'), line.size()) - 2));
    const std::string_view interpreter = line.substr(0, line.find_first_of(blanks));
    if (interpreter.empty()) {
        return fail(Errno::noexec);
    }
    return ScriptLine{interpreter, trimmed(line.substr(interpreter.size()))};
}

Result<Invocation> resolve_script(const FileSystem& files, std::string_view path,
                                  std::vector<std::string_view> arguments) {
    for (unsigned depth = 0; depth <= script_depth_max; ++depth) {
        const auto entry = files.find(path);
        if (!entry) {
            return fail(entry.error());
        }
        std::array<char, script_line_max> bytes{};
        const auto line = kept(read_script_line((*entry)->inode(), bytes));
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
