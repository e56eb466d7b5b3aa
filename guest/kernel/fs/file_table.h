// FileTable: a process's file descriptors.
#pragma once

#include <memory>

#include "guest/kernel/fs/open_file.h"

namespace shoal::guest {

enum class OnExec { keep, close };

class FileTable {
public:
    // Linux's usual hard limit is higher; a program that needs more has leaked them.
    static constexpr std::uint32_t limit = 65536;

    FileTable() noexcept = default;
    FileTable(const FileTable&) = delete;
    FileTable& operator=(const FileTable&) = delete;
    ~FileTable() { close_all(); }

    // RLIMIT_NOFILE: descriptors are made below it; those that are open beyond stay.
    static constexpr std::uint32_t usual_limit = 1024;
    void set_open_limit(std::uint64_t count) noexcept {
        open_limit_ = static_cast<std::uint32_t>(count < limit ? count : limit);
    }
    [[nodiscard]] std::uint32_t open_limit() const noexcept { return open_limit_; }

    // Makes this one, which is empty, like another: fork. Errno::nomem.
    [[nodiscard]] Result<void> copy(const FileTable& from);

    // nullptr when `descriptor` is not open. Takes a system call's argument as it comes: the lower
    // 32 bits count.
    [[nodiscard]] OpenFile* find(std::uint64_t descriptor) const noexcept;

    // The lowest free descriptor that is at least `lowest`. Errno::mfile, Errno::nomem.
    [[nodiscard]] Result<std::uint32_t> add(OpenFileRef file, OnExec on_exec,
                                            std::uint32_t lowest = 0);
    // Exactly there; what was there is closed. Errno::badf beyond the limit, Errno::nomem.
    [[nodiscard]] Result<std::uint32_t> put(std::uint32_t descriptor, OpenFileRef file,
                                            OnExec on_exec);
    [[nodiscard]] Result<void> close(std::uint64_t descriptor);
    void close_all() noexcept;

    // `descriptor` must be open.
    [[nodiscard]] OnExec on_exec(std::uint64_t descriptor) const noexcept;
    void set_on_exec(std::uint64_t descriptor, OnExec on_exec) noexcept;

    // One past the highest descriptor that may be open.
    [[nodiscard]] std::uint32_t end() const noexcept { return end_; }

private:
    struct Slot {
        OpenFileRef file{};
        OnExec on_exec = OnExec::keep;
    };

    // With the process's locks on the file, as POSIX has it: whatever other descriptor has it open.
    void clear(Slot& slot) noexcept;
    [[nodiscard]] bool grow(std::uint32_t wanted);

    std::unique_ptr<Slot[]> slots_{};
    std::uint32_t capacity_ = 0;
    std::uint32_t end_ = 0;
    std::uint32_t open_limit_ = usual_limit;
};

}  // namespace shoal::guest
