// LogSource: a growing file, piece by piece (supervisor/log_file.h).
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "controlplane/http/exchange.h"
#include "controlplane/node/mirror/mirror.h"
#include "devices/host/unique_fd.h"

namespace shoal::rest {

struct LogRequest {
    // Of the microVM, null where it is not there any more.
    using IsOver = std::function<bool(const node::MicroVm*)>;

    std::string path;
    std::string name;          // the microVM's
    std::uint64_t offset = 0;  // the first byte; what is older than the oldest kept is skipped
    IsOver is_over{};          // whether nothing more will come; empty: the file ends where it does
};

// Where the last lines of a log begin, as far as they are within its last 64 KiB; its end if there
// shall be none of them.
[[nodiscard]] std::uint64_t offset_of_last_lines(const std::string& path, std::uint64_t count);

class LogSource final : public Source, private node::MirrorListener {
public:
    // Borrows the mirror and the context.
    LogSource(boost::asio::io_context& context, node::Mirror& mirror, LogRequest request);
    LogSource(const LogSource&) = delete;
    LogSource& operator=(const LogSource&) = delete;
    ~LogSource() override;

    void next(Handler handler) override;

private:
    void on_microvm_changed(const std::string& name) override;
    void look();
    [[nodiscard]] std::string read();
    [[nodiscard]] bool is_over() const;
    void open();
    void wait_for_write();

    boost::asio::io_context& context_;
    node::Mirror& mirror_;
    LogRequest request_;
    host::UniqueFd file_;
    boost::asio::posix::stream_descriptor changes_;  // inotify
    bool is_waiting_ = false;
    Handler handler_;
    std::shared_ptr<LogSource*> self_ = std::make_shared<LogSource*>(this);
};

}  // namespace shoal::rest
