// KernelProcSource: what /proc tells of this kernel and its process.
#pragma once

#include "guest/kernel/fs/proc_files.h"

namespace shoal::guest {

class KernelProcSource final : public ProcSource {
public:
    explicit KernelProcSource(FileTable& files) : files_{files} {}

    [[nodiscard]] std::uint32_t pid() const override;
    [[nodiscard]] std::uint32_t cpu_count() const override;
    [[nodiscard]] EntryRef executable() const override;
    [[nodiscard]] EntryRef working_directory() const override;
    [[nodiscard]] FileTable& files() const override { return files_; }
    void write_arguments(Text& to) const override;
    void write_environment(Text& to) const override;
    void write_auxiliary_vector(Text& to) const override;
    void write_maps(Text& to) const override;
    [[nodiscard]] std::uint64_t memory_total_bytes() const override;
    [[nodiscard]] std::uint64_t memory_free_bytes() const override;
    [[nodiscard]] std::uint64_t process_memory_bytes() const override;
    [[nodiscard]] std::uint64_t resident_memory_bytes() const override;
    [[nodiscard]] std::uint64_t uptime_ms() const override;
    [[nodiscard]] std::uint64_t tsc_khz() const override;
    [[nodiscard]] std::string_view release() const override;
    [[nodiscard]] std::string_view version() const override;

private:
    FileTable& files_;
};

}  // namespace shoal::guest
