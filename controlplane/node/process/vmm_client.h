// VmmClient: one request to a VMM's API on its unix socket, and the answer.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/json/object.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

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

// Nothing: there is no answer, or no JSON object in it.
[[nodiscard]] std::optional<boost::json::object> object_in(const std::optional<VmmAnswer>& answer);
// Empty: it has no such text.
[[nodiscard]] std::string text_in(const boost::json::object& object, std::string_view name);

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
