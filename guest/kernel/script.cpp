// `#!` lines.
#include "guest/kernel/script.h"

#include <algorithm>
#include <array>

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

std::string_view keep(Invocation& invocation, std::string_view text) {
    const auto& word = invocation.words.emplace_back(text.begin(), text.end());
    return {word.data(), word.size()};
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
    Invocation invocation{{}, std::move(arguments), {}};
    for (unsigned depth = 0; depth <= script_depth_max; ++depth) {
        const auto entry = files.find(path);
        if (!entry) {
            return fail(entry.error());
        }
        std::array<char, script_line_max> bytes{};
        const auto line = read_script_line((*entry)->inode(), bytes);
        if (!line) {
            return fail(line.error());
        }
        if (line->interpreter.empty()) {
            invocation.executable = *entry;
            return invocation;
        }
        std::vector<std::string_view> words{keep(invocation, line->interpreter)};
        if (!line->argument.empty()) {
            words.push_back(keep(invocation, line->argument));
        }
        words.push_back(path);
        const auto& given = invocation.arguments;
        if (given.size() > 1) {
            words.insert(words.end(), given.begin() + 1, given.end());
        }
        path = words.front();
        invocation.arguments = std::move(words);
    }
    return fail(Errno::loop);
}

}  // namespace shoal::guest
