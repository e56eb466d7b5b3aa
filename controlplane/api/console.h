// /v1/microvms/NAME/console: what it prints, and what is typed for it.
#pragma once

#include <boost/asio/io_context.hpp>
#include <map>
#include <memory>
#include <string>

#include "controlplane/api/api.h"
#include "controlplane/api/console_session.h"
#include "controlplane/api/service.h"

namespace shoal::rest {

// Who is attached to the consoles of this host's microVMs: one at a time.
class Consoles {
public:
    enum class IfTaken { refuse, take_over };

    Consoles() = default;
    Consoles(const Consoles&) = delete;
    Consoles& operator=(const Consoles&) = delete;
    // Closes all: what they read is others'.
    ~Consoles();

    // By the microVM's name. Throws Problem 409.
    void attach(const std::string& name, const std::shared_ptr<ConsoleSession>& session,
                IfTaken if_taken);

private:
    std::map<std::string, std::weak_ptr<ConsoleSession>> sessions_;
};

struct ConsoleService {
    boost::asio::io_context& context;
    Service& service;
    Consoles& consoles;
    std::string log_folder;  // of NAME.log
    std::string run_folder;  // of the attempts' folders
};

// Adds the route. Borrows the service.
void add_console(Api& api, const ConsoleService& service);

}  // namespace shoal::rest
