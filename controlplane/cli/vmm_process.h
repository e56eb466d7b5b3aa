// VmmProcess: a shoal-vmm that this process started, and its API on a connection that nobody else
// has. It ends with this object, and with this process however that ends.
#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "devices/host/unique_fd.h"

namespace shoal::cli {

class VmmProcess {
public:
    // Starts `program` (shoal-vmm) with an empty stdin, and our stderr. It opens files below the
    // paths in `allowed` only, each PATH or PATH,ro; empty: everywhere. Throws std::system_error.
    explicit VmmProcess(const std::string& program, const std::vector<std::string>& allowed = {});
    ~VmmProcess();
    VmmProcess(const VmmProcess&) = delete;
    VmmProcess& operator=(const VmmProcess&) = delete;

    // A request and its answer; what is refused throws CliError with the API's sentence.
    void put(const std::string& path, const boost::json::object& body);
    void patch(const std::string& path, const boost::json::object& body);
    // The two halves of a put(), so that others can be sent requests meanwhile; answer() is
    // readable when the second one need not wait.
    void send_put(const std::string& path, const boost::json::object& body);
    [[nodiscard]] int answer() noexcept { return connection_.native_handle(); }
    void expect_done();

    // The guest's output, to read; at its end the process is about to end.
    [[nodiscard]] int output() const noexcept { return output_.get(); }
    // Readable once the guest's program waits at /dev/clone.
    [[nodiscard]] int ready() const noexcept { return ready_.get(); }
    // Ends it at once. What it had written can still be read.
    void end();
    // Waits for its end. The exit code, 128 + N for a death by signal N.
    [[nodiscard]] int wait();

private:
    void send(const char* method, const std::string& path, const boost::json::object& body);
    [[noreturn]] static void become(std::vector<std::string>& words, int output);

    pid_t pid_ = -1;
    host::UniqueFd output_;
    host::UniqueFd ready_;
    boost::asio::io_context context_;
    boost::asio::local::stream_protocol::socket connection_;
};

}  // namespace shoal::cli
