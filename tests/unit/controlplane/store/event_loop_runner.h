// EventLoopRunner: an Asio loop that a test runs until what it waits for has happened.
#pragma once

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <stdexcept>
#include <utility>

#include "controlplane/store/asio_loop.h"
#include "controlplane/store/types.h"

namespace shoal::store::test {

class EventLoopRunner {
public:
    [[nodiscard]] boost::asio::io_context& context() noexcept { return context_; }
    [[nodiscard]] AsioLoop& loop() noexcept { return loop_; }

    // Throws when `is_done` stays false: no test hangs.
    void run_until(const std::function<bool()>& is_done,
                   std::chrono::seconds limit = std::chrono::seconds{60}) {
        const auto deadline = std::chrono::steady_clock::now() + limit;
        context_.restart();
        while (!is_done()) {
            if (std::chrono::steady_clock::now() > deadline) {
                throw std::runtime_error{"the event that the test waits for did not come"};
            }
            context_.run_one_for(std::chrono::milliseconds{100});
            context_.restart();
        }
    }

    // Starts a call by giving it a handler; the answer.
    template <typename T, typename Start>
    Result<T> await(Start start) {
        std::optional<Result<T>> answer;
        start([&answer](Result<T> result) {
            REQUIRE(!answer);
            answer = std::move(result);
        });
        run_until([&answer] { return answer.has_value(); });
        return std::move(*answer);
    }

private:
    boost::asio::io_context context_;
    AsioLoop loop_{context_};
};

}  // namespace shoal::store::test
