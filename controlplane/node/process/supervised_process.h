// SupervisedProcess: one attempt's processes and run folder, watched by the loop. A part of
// SupervisedRunner.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "controlplane/node/process/runner.h"
#include "controlplane/node/process/spawn.h"

namespace shoal::node {

// Owned by a shared_ptr: what waits in the loop holds on to it.
class SupervisedProcess : public std::enable_shared_from_this<SupervisedProcess> {
public:
    using Changed = std::function<void()>;

    // Opens the run folder at `path`. Throws std::system_error.
    SupervisedProcess(boost::asio::io_context& context, const std::string& path, Changed changed);

    // Either one of these comes first. `cgroup` as spawn_supervisor() has it.
    void start(const std::vector<std::string>& words, const std::string& request, int cgroup);
    void adopt();

    void stop(std::chrono::milliseconds grace);
    // Nothing is told afterwards. The processes go on.
    void close() noexcept;

    [[nodiscard]] const Observation& observation() const noexcept { return observation_; }

private:
    using Clock = std::chrono::steady_clock;
    using Descriptor = boost::asio::posix::stream_descriptor;

    void watch_process(host::UniqueFd process);
    void look();
    void look_at_folder();
    void look_again();
    void conclude();
    void send_stop();

    host::UniqueFd folder_;
    Changed changed_;
    Observation observation_;
    Descriptor ready_;
    Descriptor process_;
    bool is_over_ = false;  // the supervisor has gone
    std::optional<Clock::time_point> kill_at_;
    boost::asio::steady_timer retry_;
    boost::asio::steady_timer kill_;
};

}  // namespace shoal::node
