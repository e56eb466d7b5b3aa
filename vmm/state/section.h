// A state file: a header and sections. All numbers are little-endian.
//
//   header   magic "SHOALST\n", u32 version of this layout, u32 count of sections,
//            u64 bytes of the whole file, u32 CRC-32C of the header before it
//   section  16 bytes of name, padded with zeros; u32 instance; u16 version; u16 required (0 or 1);
//            u32 bytes of payload; u32 CRC-32C of all the section's other bytes; payload
//
// Every bit of a file is in one of the checksums. Whoever reads asks for the sections it knows,
// each once; at the end a section that nobody asked for is skipped when it is optional and refused,
// by its name, when it is required. A section whose fields change gets the next version; a reader
// knows the fields of every version up to its own.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vmm/state/decode.h"
#include "vmm/state/encode.h"
#include "vmm/state/state_error.h"

namespace shoal::state {

// A machine's state without its memory has some ten KiB for each vCPU.
inline constexpr std::size_t max_file_bytes = 16 << 20;

enum class Requirement : std::uint16_t { optional, required };

// Of the layout, as Firecracker tells its own: "v1.0.0".
[[nodiscard]] std::string version_text();

struct SectionId {
    std::string_view name;  // at most 16 characters
    std::uint32_t instance = 0;
};

class SectionWriter {
public:
    template <typename T>
    void add(SectionId id, const T& value, Requirement requirement = Requirement::required) {
        Encoder payload;
        payload.write(value);
        add_payload(id, requirement, payload.bytes());
    }

    [[nodiscard]] std::vector<std::byte> finish() const;

private:
    void add_payload(SectionId id, Requirement requirement, std::span<const std::byte> payload);

    Encoder sections_;
    std::uint32_t count_ = 0;
};

class SectionReader {
public:
    // Checks layout and checksums of all that is there. Borrows the file's bytes.
    explicit SectionReader(std::span<const std::byte> file);

    // False also for an optional section of a version that is unknown here.
    [[nodiscard]] bool has(SectionId id) const;

    template <typename T>
    [[nodiscard]] T take(SectionId id) {
        Decoder payload{take_payload(id), "the state's section " + std::string{id.name}};
        T value{};
        payload.read(value);
        if (payload.bytes_left() != 0) {
            payload.fail("is longer than what it holds");
        }
        return value;
    }

    // After everything that is known was taken.
    void refuse_the_rest() const;

private:
    struct Section {
        Requirement requirement;
        std::uint16_t version;
        std::span<const std::byte> payload;
    };
    using Key = std::pair<std::string, std::uint32_t>;

    void read_section(Decoder& file);
    [[nodiscard]] std::span<const std::byte> take_payload(SectionId id);

    std::map<Key, Section> sections_;
};

}  // namespace shoal::state
