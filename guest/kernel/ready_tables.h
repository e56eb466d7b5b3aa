// ReadyTables: leaf tables that the monitor filled for files of the initramfs
// (devices/abi/ready_tables.h). Each is used once: by the first mapping of its file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace shoal::guest {

class ReadyTables {
public:
    // A file's tables.
    struct Run {
        std::uint64_t start = 0;      // physical address of the first table
        std::size_t count = 0;        // how many, one after the other
        std::size_t first_entry = 0;  // of the file's first page, in the first table
        std::size_t pages = 0;        // from that one to the last
    };

    // What the monitor left. At boot only.
    void look();
    // The tables of the file whose first page this is, if they were not taken.
    [[nodiscard]] std::optional<Run> find(const void* first_page) const;
    void take(const Run& run);

private:
    struct File {
        std::uint64_t first_page = 0;  // physical; 0: taken
        Run run;
    };

    std::vector<File> files_{};
};

extern ReadyTables ready_tables;

}  // namespace shoal::guest
