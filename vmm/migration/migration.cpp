// One migration at a time.
#include "vmm/migration/migration.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace shoal::migration {

void Migration::send(const vmm::MicrovmConfig& config, const SendOrder& order) {
    if (microvm_.state() != vmm::MicrovmState::running) {
        throw std::runtime_error("the microVM does not run");
    }
    for (const vmm::DriveConfig& drive : config.drives) {
        if (drive.socket) {
            throw std::runtime_error("the drive " + drive.drive_id +
                                     " is another process's, whose state cannot be moved");
        }
    }
    for (const std::string& id : order.copied_drives) {
        if (std::ranges::count(config.drives, id, &vmm::DriveConfig::drive_id) == 0 ||
            std::ranges::count(order.copied_drives, id) != 1) {
            throw std::runtime_error("there is no drive " + id + ", or it is named twice");
        }
    }
    source_.reset();  // it is over
    source_ = std::make_unique<Source>(microvm_, config, order, calls_);
}

void Migration::receive(const ReceiveOrder& order) {
    destination_ = std::make_unique<Destination>(microvm_, order, calls_);
}

void Migration::cancel() {
    const bool is_done = (source_ && source_->cancel()) || (destination_ && destination_->cancel());
    if (!is_done) {
        throw std::runtime_error(source_ && is_busy()
                                     ? "it is too late: the guest may run at the destination"
                                     : "no migration is going on");
    }
}

void Migration::resolve(SourceEvent told) {
    if (!source_ || !source_->resolve(told)) {
        throw std::runtime_error("the guest is not in doubt");
    }
}

bool Migration::is_busy() const {
    if (source_ && source_->phase() != SourcePhase::resumed) {
        return true;
    }
    return destination_ &&
           (destination_->phase() != DestinationPhase::running || destination_->is_filling());
}

void Migration::stop() noexcept {
    calls_.abandon();
    source_.reset();
    destination_.reset();
}

}  // namespace shoal::migration
