// InotifyFile: inotify(7) for programs that want to watch but live without: nothing ever happens.
#pragma once

#include "guest/kernel/events/anonymous_file.h"

namespace shoal::guest {

class InotifyFile final : public AnonymousFile {
public:
    static constexpr Kind file_kind = Kind::inotify;

    InotifyFile() noexcept : AnonymousFile{file_kind} {}

    // Watch descriptors count from 1.
    [[nodiscard]] std::uint32_t add_watch() noexcept { return ++watches_; }
    // Errno::inval when there never was such a watch.
    [[nodiscard]] Result<void> remove_watch(std::uint32_t watch) const noexcept {
        return watch != 0 && watch <= watches_ ? Result<void>{} : fail(Errno::inval);
    }

    Result<std::size_t> read(OpenFile&, std::uint64_t, Destination&, std::size_t) override {
        return fail(Errno::again);
    }
    [[nodiscard]] Readiness readiness(const OpenFile&) const override {
        return {.readable = Readiness::Is::no, .writable = Readiness::Is::no};
    }

private:
    std::uint32_t watches_ = 0;
};

}  // namespace shoal::guest
