// The API over a fake microVM: called directly, or through a real socket.
#pragma once

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <filesystem>
#include <string>

#include "devices/host/os_error.h"
#include "devices/host/unique_fd.h"
#include "tests/unit/vmm/api/fake_microvm.h"
#include "vmm/api/api.h"
#include "vmm/api/server.h"
#include "vmm/migration/migration.h"

namespace shoal::api::testing {

// A folder that is gone at the end.
struct TemporaryFolder {
    TemporaryFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "shoal-api-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path = name;
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() { std::filesystem::remove_all(path); }
    std::filesystem::path path;
};

struct ApiRig {
    FakeMicrovm microvm;
    MetricsFile metrics{[this](MetricsDocument& document) {
                            api.counters().report(document);
                            microvm.report_metrics(document);
                        },
                        "vm-1"};
    boost::asio::io_context migration_loop{1};
    migration::Migration migration{microvm, migration_loop};
    Context context{microvm, metrics, migration, "vm-1"};
    Api api{context};

    Response call(Method method, const std::string& path, std::optional<std::string> body = {}) {
        return api.handle({method, path, std::move(body)});
    }
    Response put(const std::string& path, const std::string& body) {
        return call(Method::put, path, body);
    }
    Response patch(const std::string& path, const std::string& body) {
        return call(Method::patch, path, body);
    }
    Response get(const std::string& path) { return call(Method::get, path); }

    // Puts what a start needs, and starts.
    void start() {
        REQUIRE(put("/boot-source", R"({"kernel_image_path":"k"})").status == Status::no_content);
        REQUIRE(put("/actions", R"({"action_type":"InstanceStart"})").status == Status::no_content);
    }
};

// The text of a fault; fails when the response is none.
inline std::string fault_of(const Response& response) {
    CHECK(response.status == Status::bad_request);
    const std::string start = R"({"fault_message":")";
    INFO(response.body);
    REQUIRE(response.body.starts_with(start));
    return response.body.substr(start.size(), response.body.size() - start.size() - 2);
}

inline const std::string bad_json =
    "An error occurred when deserializing the json body of a request: ";

// A client of a served API. It lets the server's loop run while it waits.
struct Client {
    Client(boost::asio::io_context& io, const std::string& path)
        : loop{io}, fd{host::check_os(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket")} {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        host::check_os(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address),
                       "connect");
    }

    void send(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t count =
                ::send(fd.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
            REQUIRE((count >= 0 || errno == EAGAIN));
            bytes.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
            loop.poll();
        }
    }

    // Reads until `size_bytes` are there, the server has closed, or time is up.
    std::string receive(std::size_t size_bytes) {
        std::string bytes;
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{10};
        while (bytes.size() < size_bytes && std::chrono::steady_clock::now() < deadline) {
            loop.restart();
            loop.poll();
            std::array<char, 4096> piece;
            const ssize_t count =
                ::recv(fd.get(), piece.data(), std::min(piece.size(), size_bytes - bytes.size()),
                       MSG_DONTWAIT);
            if (count > 0) {
                bytes.append(piece.data(), static_cast<std::size_t>(count));
            } else if (count == 0 || errno != EAGAIN) {
                is_closed = true;
                break;
            }
        }
        return bytes;
    }

    // Sends, and expects exactly these bytes back.
    void exchange(std::string_view bytes, std::string_view expected) {
        send(bytes);
        CHECK(receive(expected.size()) == expected);
    }

    // Nothing is there to be read, and the connection stands.
    [[nodiscard]] bool is_quiet() {
        loop.restart();
        loop.poll();
        char byte = 0;
        return ::recv(fd.get(), &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
    }

    boost::asio::io_context& loop;
    host::UniqueFd fd;
    bool is_closed = false;
};

struct ServedApi : ApiRig {
    TemporaryFolder folder;
    std::string path = folder.path / "api.sock";
    boost::asio::io_context loop{1};
    Server server{loop, path, default_max_body_bytes,
                  [this](const Request& request) { return api.handle(request); }};

    Client connect() { return Client{loop, path}; }
};

inline std::string put_request(const std::string& path, const std::string& body) {
    return "PUT " + path +
           " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
}

inline std::string ok_response(const std::string& body) {
    return "HTTP/1.1 200 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\nContent-Type: "
           "application/json\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
}

inline std::string fault_response(const std::string& text) {
    const std::string body = R"({"fault_message":")" + text + "\"}";
    return "HTTP/1.1 400 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\nContent-Type: "
           "application/json\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
}

inline std::string http_error_response(const std::string& text) {
    const std::string body =
        "{ \"error\": \"" + text + "\nAll previous unanswered requests will be dropped.\" }";
    return "HTTP/1.1 400 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\nContent-Type: "
           "application/json\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
}

inline const std::string no_content_response =
    "HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n";

}  // namespace shoal::api::testing
