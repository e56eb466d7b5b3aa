// LoopCalls: how a migration's thread has the event loop's thread do something to the microVM.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace shoal::migration {

class LoopCalls {
public:
    // Borrows the loop.
    explicit LoopCalls(boost::asio::io_context& loop);

    // Has the loop call `work`, and waits until it has. What `work` throws comes back as its
    // sentence; so does that the loop does not run any more. Any thread but the loop's.
    [[nodiscard]] std::optional<std::string> run(std::function<void()> work);

    // On the loop's thread, once the loop has stopped for good: nobody waits for it any longer.
    void abandon() noexcept;

private:
    struct State;
    boost::asio::io_context& loop_;
    std::shared_ptr<State> state_;  // also of calls that are still in the loop
};

}  // namespace shoal::migration
