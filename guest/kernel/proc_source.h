// KernelProcSource: what /proc tells of this kernel and its process.
#pragma once

#include "guest/kernel/fs/proc_files.h"
#include "guest/kernel/process.h"

namespace shoal::guest {

class KernelProcSource final : public ProcSource {
public:
    [[nodiscard]] bool look_at(std::uint32_t pid) override;
    [[nodiscard]] std::uint32_t pid() const override;
    [[nodiscard]] std::uint32_t parent_pid() const override;
    [[nodiscard]] std::uint32_t group() const override;
    [[nodiscard]] std::uint32_t session() const override;
    [[nodiscard]] std::uint32_t thread_count() const override;
    [[nodiscard]] char state() const override;
    [[nodiscard]] std::uint32_t cpu_count() const override;
    [[nodiscard]] EntryRef executable() const override;
    [[nodiscard]] EntryRef working_directory() const override;
    [[nodiscard]] FileTable& files() const override;
    void write_arguments(Text& to) const override;
    void write_environment(Text& to) const override;
    void write_auxiliary_vector(Text& to) const override;
    void write_maps(Text& to) const override;
    void write_name_servers(Text& to) const override;
    [[nodiscard]] std::uint64_t memory_total_bytes() const override;
    [[nodiscard]] std::uint64_t memory_free_bytes() const override;
    [[nodiscard]] std::uint64_t process_memory_bytes() const override;
    [[nodiscard]] std::uint64_t resident_memory_bytes() const override;
    [[nodiscard]] std::uint64_t uptime_ms() const override;
    [[nodiscard]] std::uint64_t cpu_time_ms() const override;
    [[nodiscard]] std::uint64_t children_time_ms() const override;
    [[nodiscard]] std::uint64_t busy_ms(std::uint32_t cpu) const override;
    [[nodiscard]] std::uint64_t tsc_khz() const override;
    [[nodiscard]] std::string_view release() const override;
    [[nodiscard]] std::string_view version() const override;

private:
    [[nodiscard]] const ProgramMemory* memory() const;

    const Process* subject_ = nullptr;
};

// From now on processes that come and go have their folder in /proc. Lives for ever.
void show_processes(KernelProcSource& source);
// Called when one has come, and before it goes.
void show_process(const Process& process);
void hide_process(const Process& process);

}  // namespace shoal::guest
