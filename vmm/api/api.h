// Api: a request in, a response out. Knows no sockets.
#pragma once

#include <string>

#include "vmm/api/action.h"
#include "vmm/api/request_counters.h"

namespace shoal::api {

class Api {
public:
    // Borrows the context.
    explicit Api(Context& context) : context_{context} {}

    // Executes one request. What goes wrong is in the response.
    [[nodiscard]] Response handle(const Request& request);

    [[nodiscard]] const RequestCounters& counters() const noexcept { return counters_; }

private:
    [[nodiscard]] Response dispatch(const Request& request);

    Context& context_;
    RequestCounters counters_;
};

}  // namespace shoal::api
