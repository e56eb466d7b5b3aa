// The file's bytes, each looked at once.
#include "vmm/jail/filter_file.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string_view>

namespace shoal::jail {
namespace {

constexpr std::array<std::string_view, 3> threads{"vmm", "api", "vcpu"};

[[noreturn]] void refuse(const std::string& what) {
    throw std::runtime_error("the filters of --seccomp-filter " + what);
}

std::vector<std::byte> read_file(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    std::vector<std::byte> content(FilterFile::max_bytes + 1);
    // SAFETY: streams read bytes as char.
    file.read(reinterpret_cast<char*>(content.data()),
              static_cast<std::streamsize>(content.size()));
    if (file.bad() || (file.fail() && !file.eof())) {
        refuse("cannot be read from " + path);
    }
    content.resize(static_cast<std::size_t>(file.gcount()));
    return content;
}

class Reader {
public:
    explicit Reader(std::span<const std::byte> rest) noexcept : rest_{rest} {}

    std::span<const std::byte> take(std::uint64_t size) {
        if (size > rest_.size()) {
            refuse("end too early");
        }
        const auto taken = rest_.first(size);
        rest_ = rest_.subspan(size);
        return taken;
    }
    std::uint64_t take_number() {
        std::uint64_t number = 0;
        std::memcpy(&number, take(sizeof number).data(), sizeof number);
        return number;
    }
    [[nodiscard]] std::size_t size() const noexcept { return rest_.size(); }

private:
    std::span<const std::byte> rest_;
};

std::string take_name(Reader& reader) {
    const auto bytes = reader.take(reader.take_number());
    std::string name;
    for (const std::byte byte : bytes) {
        const char letter = static_cast<char>(byte);
        name += letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
    }
    if (std::ranges::find(threads, name) == threads.end()) {
        refuse("have one for a thread that is neither vmm, api nor vcpu");
    }
    return name;
}

std::vector<sock_filter> take_program(Reader& reader) {
    const std::uint64_t count = reader.take_number();
    if (count > BPF_MAXINSNS) {
        refuse("have one of " + std::to_string(count) + " instructions; Linux takes " +
               std::to_string(BPF_MAXINSNS));
    }
    const auto bytes = reader.take(count * sizeof(sock_filter));
    std::vector<sock_filter> program(count);
    std::ranges::copy(bytes, std::as_writable_bytes(std::span{program}).begin());
    return program;
}

}  // namespace

FilterFile::FilterFile(const std::string& path) : FilterFile{read_file(path)} {}

FilterFile::FilterFile(std::span<const std::byte> content) {
    if (content.size() > max_bytes) {
        refuse("have more than " + std::to_string(max_bytes) + " bytes");
    }
    Reader reader{content};
    for (std::uint64_t count = reader.take_number(); count > 0; --count) {
        std::string name = take_name(reader);
        if (!filters_.emplace(std::move(name), take_program(reader)).second) {
            refuse("have two for one thread");
        }
    }
    if (reader.size() > 0) {
        refuse("have bytes behind the last one");
    }
    for (const std::string_view name : threads) {
        if (!filters_.contains(std::string{name})) {
            refuse("lack the one for " + std::string{name});
        }
    }
}

std::span<const sock_filter> FilterFile::filter_of(Role role) const {
    return filters_.at(role == Role::vcpu ? "vcpu" : "vmm");
}

}  // namespace shoal::jail
