// Rounds, as a migration makes them (vmm/migration/source_copy.cpp), to a file.
#include "vmm/state/drive_copy.h"

#include <algorithm>
#include <utility>

#include "devices/abi/address_map.h"
#include "vmm/state/state_error.h"

namespace shoal::state {

DriveCopies::Copy::Copy(std::shared_ptr<LoggedDrive> of, const std::string& path)
    : drive{std::move(of)},
      base{drive->base},
      file{path},
      copied{vmm::empty_set(drive->content.size_bytes)},
      left{vmm::empty_set(drive->content.size_bytes)} {
    file.set_size(drive->content.size_bytes);
}

void DriveCopies::Copy::take_written() {
    drive->content.writes->take(left);
}

void DriveCopies::Copy::copy_left(const std::atomic<bool>& is_stopped) {
    constexpr std::uint64_t piece_pages = 4096;  // 16 MiB: a process that ends waits no longer
    for (auto range = vmm::next_range(left, 0); range && !is_stopped;) {
        const std::uint64_t end = std::min(range->end, range->first + piece_pages);
        file.copy_range(drive->content.fd.get(), range->first * abi::page_size,
                        (end - range->first) * abi::page_size);
        range = vmm::next_range(left, end);
    }
    vmm::add_pages(copied, left);
    std::ranges::fill(left, 0);
}

void DriveCopies::add(std::shared_ptr<LoggedDrive> drive, const std::string& path) {
    const std::uint64_t size_bytes = drive->content.size_bytes;
    if (size_bytes % abi::page_size != 0 || size_bytes > max_drive_bytes) {
        throw StateError("the drive " + drive->id + " has " + std::to_string(size_bytes) +
                         " bytes: a multiple of 4096, and at most 1 TiB, can be saved");
    }
    copies_.push_back(std::make_unique<Copy>(std::move(drive), path));
}

// The log has run since before the holes are looked for.
void DriveCopies::copy_behind(const std::atomic<bool>& is_stopped) {
    for (const auto& copy : copies_) {
        if (copy->base) {
            copy->take_written();
        } else {
            copy->left = vmm::pages_with_data(copy->drive->content.fd.get(),
                                              copy->drive->content.size_bytes);
        }
    }
    for (unsigned round = 1; !is_stopped; ++round) {
        std::uint64_t pages_left = 0;
        for (const auto& copy : copies_) {
            copy->copy_left(is_stopped);
            copy->take_written();
            pages_left += vmm::count_pages(copy->left);
        }
        if (pages_left <= few_pages) {
            return;
        }
        if (round == max_rounds) {
            if (pages_left > most_pages) {
                throw StateError("its drives are written to faster than they are copied: after " +
                                 std::to_string(max_rounds) + " rounds " +
                                 std::to_string(pages_left) + " pages are left, and at most " +
                                 std::to_string(most_pages) + " may be");
            }
            return;
        }
    }
}

void DriveCopies::finish(const SnapshotId& id) {
    for (const auto& copy : copies_) {
        if (!copy->drive->is_logging()) {
            throw StateError("the drive " + copy->drive->id +
                             " was replaced, or copied by somebody else, meanwhile");
        }
        copy->take_written();
        copy->copy_left(false);
        MemoryMark mark{id, {}};
        if (copy->base) {
            mark.difference = Difference{*copy->base, std::move(copy->copied)};
        }
        copy->file.write(encode(mark), copy->drive->content.size_bytes);
    }
}

void DriveCopies::sync() {
    for (const auto& copy : copies_) {
        copy->file.sync();
    }
}

void DriveCopies::publish() {
    for (const auto& copy : copies_) {
        copy->file.publish();
    }
}

void DriveCopies::leave() noexcept {
    for (const auto& copy : copies_) {
        copy->file.leave();
    }
}

}  // namespace shoal::state
