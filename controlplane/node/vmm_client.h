// VmmClient: one request to a VMM's API on its unix socket, and the answer.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace shoal::node {

struct VmmRequest {
    std::string method;
    std::string target;  // "/migration"
    std::string body{};
};

struct VmmAnswer {
    unsigned status = 0;
    std::string body;
};

// On the loop's thread. A parameter, so that unit tests need no VMM.
class VmmClient {
public:
    // Nothing: the VMM does not answer.
    using Handler = std::move_only_function<void(std::optional<VmmAnswer>)>;

    virtual ~VmmClient() = default;
    // The handler runs later, once; never when the client has been destroyed meanwhile.
    virtual void call(const std::string& socket, VmmRequest request, Handler handler) = 0;
};

class UnixVmmClient final : public VmmClient {
public:
    // Borrows the context.
    explicit UnixVmmClient(boost::asio::io_context& context) : context_{context} {}

    void call(const std::string& socket, VmmRequest request, Handler handler) override;

private:
    boost::asio::io_context& context_;
    std::shared_ptr<bool> is_alive_ = std::make_shared<bool>(true);
};

}  // namespace shoal::node
