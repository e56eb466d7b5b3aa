// Files of filters, whole and broken.
#include "vmm/jail/filter_file.h"

#include <doctest/doctest.h>
#include <linux/seccomp.h>

#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace shoal::jail {
namespace {

constexpr sock_filter allow{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};

class Bytes {
public:
    Bytes& number(std::uint64_t value) {
        const auto* first = reinterpret_cast<const std::byte*>(&value);  // SAFETY: as bytes
        bytes_.insert(bytes_.end(), first, first + sizeof value);
        return *this;
    }
    Bytes& filter(std::string_view name, std::uint64_t count) {
        number(name.size());
        for (const char letter : name) {
            bytes_.push_back(static_cast<std::byte>(letter));
        }
        number(count);
        for (std::uint64_t i = 0; i < count; ++i) {
            std::uint64_t instruction = 0;
            std::memcpy(&instruction, &allow, sizeof instruction);
            number(instruction);
        }
        return *this;
    }
    [[nodiscard]] std::span<const std::byte> get() const { return bytes_; }

private:
    std::vector<std::byte> bytes_;
};

std::string refusal(std::span<const std::byte> content) {
    try {
        const FilterFile file{content};
        return {};
    } catch (const std::runtime_error& error) {
        return error.what();
    }
}

bool says(const std::string& sentence, std::string_view words) {
    CAPTURE(sentence);
    return sentence.find(words) != std::string::npos;
}

Bytes whole() {
    Bytes bytes;
    bytes.number(3).filter("api", 2).filter("VcpU", 3).filter("vmm", 1);
    return bytes;
}

}  // namespace

TEST_CASE("filter file: each thread has its program, and their names any case") {
    const FilterFile file{whole().get()};
    CHECK(file.filter_of(Role::vcpu).size() == 3);
    CHECK(file.filter_of(Role::service).size() == 1);
    CHECK(file.filter_of(Role::direct).size() == 1);
    CHECK(file.filter_of(Role::vcpu).front().k == SECCOMP_RET_ALLOW);
}

TEST_CASE("filter file: an empty program is none") {
    const FilterFile file{
        Bytes{}.number(3).filter("vmm", 0).filter("api", 0).filter("vcpu", 0).get()};
    CHECK(file.filter_of(Role::vcpu).empty());
}

TEST_CASE("filter file: every file that is none is refused with one sentence") {
    const Bytes good = whole();
    for (std::size_t size = 0; size < good.get().size(); ++size) {
        CHECK(says(refusal(good.get().first(size)), "end too early"));
    }
    CHECK(says(refusal(whole().number(0).get()), "behind the last one"));
    CHECK(says(refusal(Bytes{}.number(1).filter("vmm", 1).get()), "lack the one for api"));
    CHECK(says(refusal(Bytes{}.number(1).filter("disk", 1).get()), "neither vmm, api nor vcpu"));
    CHECK(says(refusal(Bytes{}.number(2).filter("vmm", 1).filter("VMM", 1).get()), "two for one"));
    CHECK(says(refusal(Bytes{}.number(~0ULL).get()), "end too early"));
    CHECK(says(refusal(Bytes{}.number(1).number(~0ULL).get()), "end too early"));
    CHECK(says(refusal(Bytes{}.number(1).filter("vmm", 4097).get()), "4097 instructions"));
    const std::vector<std::byte> large(FilterFile::max_bytes + 1);
    CHECK(says(refusal(large), "more than 100000 bytes"));
    CHECK(says(
        [] {
            try {
                const FilterFile file{std::string{"/no/such/file"}};
                return std::string{};
            } catch (const std::runtime_error& error) {
                return std::string{error.what()};
            }
        }(),
        "/no/such/file"));
}

}  // namespace shoal::jail
