// Migration: what a process does to give its guest away, or to take one. One at a time.
#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string_view>

#include "vmm/migration/destination.h"
#include "vmm/migration/source.h"

namespace shoal::migration {

// All functions on the event loop's thread.
class Migration {
public:
    // Borrows both, which outlive it.
    Migration(vmm::Microvm& microvm, boost::asio::io_context& loop)
        : microvm_{microvm}, calls_{loop} {}
    // After stop(), or when no migration was begun.
    ~Migration() = default;

    // Returns at once; what becomes of it is in the status. Throw with one sentence.
    void send(const vmm::MicrovmConfig& config, const SendOrder& order);
    void receive(const ReceiveOrder& order);
    // Throws when there is nothing to cancel, or no longer.
    void cancel();
    // The control plane's word about a guest that is in doubt. Throws when it is not.
    void resolve(SourceEvent told);

    // While true, whose guest this is is being decided: nobody may change or run it.
    [[nodiscard]] bool is_busy() const;

    // The latest one of each; nullptr: there was none.
    [[nodiscard]] const Source* source() const noexcept { return source_.get(); }
    [[nodiscard]] const Destination* destination() const noexcept { return destination_.get(); }

    // The loop does not run any more, and the process ends: waits for the threads.
    void stop() noexcept;

    // For others that work on the microVM beside the loop.
    [[nodiscard]] LoopCalls& calls() noexcept { return calls_; }

private:
    vmm::Microvm& microvm_;
    LoopCalls calls_;
    std::unique_ptr<Source> source_;
    std::unique_ptr<Destination> destination_;
};

}  // namespace shoal::migration
