// What is refused, as RFC 9457 problem details.
#pragma once

#include <exception>
#include <string>

#include "controlplane/http/exchange.h"

namespace shoal::rest {

// Thrown by whoever looks at a request; answered where the request came from. `detail` is one
// sentence for people.
class Problem : public std::exception {
public:
    Problem(unsigned status, std::string detail) : status_{status}, detail_{std::move(detail)} {}

    [[nodiscard]] const char* what() const noexcept override { return detail_.c_str(); }
    [[nodiscard]] unsigned status() const noexcept { return status_; }

private:
    unsigned status_;
    std::string detail_;
};

[[nodiscard]] Response to_response(const Problem& problem);
// What went wrong on this host, and nobody foresaw: 507 when its disk is full, else 500. Logged.
[[nodiscard]] Response to_failure(const std::exception& error);
// What is said by an answer that is no success, another host's among them, in a sentence.
[[nodiscard]] std::string detail_of(const Response& response);

// A JSON string.
[[nodiscard]] std::string quote(const std::string& text);

}  // namespace shoal::rest
