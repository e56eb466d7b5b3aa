// The transport: what goes over the socket, byte for byte, and hostile clients.
#include "vmm/api/server.h"

#include <doctest/doctest.h>

#include <fstream>
#include <memory>

#include "tests/unit/vmm/api/api_rig.h"

namespace shoal::api {
namespace {

using namespace testing;

const std::string instance_info =
    R"({"id":"vm-1","state":"Not started","vmm_version":"1.17.0-dev","app_name":"Firecracker"})";

TEST_CASE("a microVM is configured and started over the socket") {
    ServedApi api;
    Client client = api.connect();
    client.exchange("GET / HTTP/1.1\r\n\r\n", ok_response(instance_info));
    client.exchange(put_request("/machine-config", R"({"vcpu_count":2,"mem_size_mib":256})"),
                    no_content_response);
    client.exchange(put_request("/boot-source", R"({"kernel_image_path":"vmlinux"})"),
                    no_content_response);
    client.exchange(put_request("/drives/rootfs", R"({"drive_id":"rootfs","path_on_host":"disk",)"
                                                  R"("is_root_device":true})"),
                    no_content_response);
    client.exchange(put_request("/actions", R"({"action_type":"InstanceStart"})"),
                    no_content_response);
    CHECK(api.microvm.now == vmm::MicrovmState::running);
    CHECK(api.microvm.started_with.machine.vcpu_count == 2);
    CHECK(api.microvm.started_with.drives.at(0).drive_id == "rootfs");
    client.exchange(
        put_request("/actions", R"({"action_type":"InstanceStart"})"),
        fault_response("The requested operation is not supported after starting the microVM."));
}

TEST_CASE("a deprecated field is answered with a header, in its place") {
    ServedApi api;
    Client client = api.connect();
    client.exchange(put_request("/vsock", R"({"vsock_id":"v","guest_cid":3,"uds_path":"/tmp/v"})"),
                    "HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n"
                    "Deprecation: true\r\n\r\n");
    api.microvm.refusal = "no";
    const std::string body = R"({"fault_message":"Vsock config error: no"})";
    client.exchange(
        put_request("/vsock", R"({"vsock_id":"v","guest_cid":3,"uds_path":"/tmp/v"})"),
        "HTTP/1.1 400 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\nDeprecation: "
        "true\r\nContent-Type: application/json\r\nContent-Length: " +
            std::to_string(body.size()) + "\r\n\r\n" + body);
}

TEST_CASE("a body that is too large is refused with its size, and the connection goes on") {
    ServedApi api;
    Client client = api.connect();
    const std::string expected =
        "HTTP/1.1 400 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\nContent-Type: "
        "application/json\r\nContent-Length: 149\r\n\r\n"
        "{ \"error\": \"Request payload with size 51201 is larger than the limit of 51200 allowed "
        "by server.\nAll previous unanswered requests will be dropped.\" }";
    client.exchange(put_request("/mmds", std::string(51201, 'x')), expected);
    client.exchange("GET / HTTP/1.1\r\n\r\n", ok_response(instance_info));
    SUBCASE("the largest that is allowed is parsed") {
        const std::string filler(51200 - 2, ' ');
        client.exchange(put_request("/vsock", "{" + filler + "}"),
                        fault_response(bad_json + "missing field `guest_cid` at line 1 column "
                                                  "51200."));
    }
}

TEST_CASE("a client that waits for 100 Continue gets it before it sends the body") {
    ServedApi api;
    Client client = api.connect();
    client.exchange("PUT /entropy HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
                    "HTTP/1.1 100 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n");
    CHECK(client.is_quiet());
    client.exchange("{}", no_content_response);
    SUBCASE("and not when the body is too large, which it then does not send") {
        client.exchange(
            "PUT /entropy HTTP/1.1\r\nExpect: 100-continue\r\n"
            "Content-Length: 60000\r\n\r\n",
            http_error_response("Request payload with size 60000 is larger than the "
                                "limit of 51200 allowed by server."));
        client.exchange("GET / HTTP/1.1\r\n\r\n", ok_response(instance_info));
    }
}

TEST_CASE("requests that come byte by byte are understood") {
    ServedApi api;
    Client client = api.connect();
    const std::string request = put_request("/machine-config", R"({"vcpu_count":1})");
    for (const char& byte : request) {
        client.send({&byte, 1});
    }
    const std::string expected =
        fault_response(bad_json + "missing field `mem_size_mib` at line 1 column 16.");
    CHECK(client.receive(expected.size()) == expected);
}

TEST_CASE("pipelined requests are executed one by one and answered in order") {
    ServedApi api;
    Client client = api.connect();
    std::string requests;
    std::string responses;
    for (int turn = 0; turn < 200; ++turn) {
        requests += put_request("/entropy", "{}") + "GET / HTTP/1.0\r\n\r\n";
        responses += no_content_response + ok_response(instance_info);
    }
    client.send(requests);
    CHECK(client.receive(responses.size()) == responses);
}

TEST_CASE("what is no request is answered with 400 and its reason") {
    ServedApi api;
    Client client = api.connect();
    std::string request;
    std::string reason;
    SUBCASE("a method that there is not") {
        request = "POST / HTTP/1.1\r\n\r\n";
        reason = "Invalid HTTP Method: Unsupported HTTP method.";
    }
    SUBCASE("a method in lower case") {
        request = "get / HTTP/1.1\r\n\r\n";
        reason = "Invalid HTTP Method: Unsupported HTTP method.";
    }
    SUBCASE("a version that there is not") {
        request = "GET / HTTP/2.0\r\n\r\n";
        reason = "Invalid HTTP Version: Unsupported HTTP version.";
    }
    SUBCASE("no URI") {
        request = "GET  HTTP/1.1\r\n\r\n";
        reason = "Invalid URI: Empty URI not allowed.";
    }
    SUBCASE("a URI that is not UTF-8") {
        request = "GET /\xff HTTP/1.1\r\n\r\n";
        reason = "Invalid URI: Cannot parse URI as UTF-8.";
    }
    SUBCASE("one word") {
        request = "garbage\r\n\r\n";
        reason = "Invalid request.";
    }
    SUBCASE("an endless request line") {
        request = std::string(1024, 'G');
        reason = "Invalid request.";
    }
    SUBCASE("an endless header line") {
        request = "GET / HTTP/1.1\r\n" + std::string(1024, 'h');
        reason =
            "Invalid header. Reason: Invalid content length. Header: " + std::string(1024, 'h');
    }
    SUBCASE("a header without a colon") {
        request = "GET / HTTP/1.1\r\nno colon\r\n\r\n";
        reason = "Invalid header. Reason: Header is incorrectly formatted. Key: no colon";
    }
    SUBCASE("a length that is no number") {
        request = "PUT / HTTP/1.1\r\nContent-Length: -1\r\n\r\n";
        reason = "Invalid header. Reason: Invalid value. Key:Content-Length; Value: -1";
    }
    SUBCASE("a length beyond 32 bits") {
        request = "PUT / HTTP/1.1\r\nContent-Length: 4294967296\r\n\r\n";
        reason = "Invalid header. Reason: Invalid value. Key:Content-Length; Value: 4294967296";
    }
    SUBCASE("an encoding that forbids ours") {
        request = "GET / HTTP/1.1\r\nAccept-Encoding: gzip, identity;q=0\r\n\r\n";
        reason = "Invalid header. Reason: Invalid value. Key:Accept-Encoding; Value:identity;q=0";
    }
    SUBCASE("header lines without end") {
        request = "GET / HTTP/1.1\r\n";
        for (std::size_t line = 0; line <= max_header_lines; ++line) {
            request += "A: b\r\n";
        }
        reason = "Invalid header. Reason: More than 256 header lines.";
    }
    client.exchange(request, http_error_response(reason));
    client.exchange("GET / HTTP/1.1\r\n\r\n", ok_response(instance_info));
}

TEST_CASE("lines of the greatest length, unknown headers and odd spellings are accepted") {
    ServedApi api;
    Client client = api.connect();
    std::string request;
    SUBCASE("a request line of 1024 bytes") {
        request = "GET /" + std::string(1024 - 16, '/') + " HTTP/1.1\r\n\r\n";
    }
    SUBCASE("a header line of 1024 bytes") {
        request = "GET / HTTP/1.1\r\nX: " + std::string(1024 - 5, 'x') + "\r\n\r\n";
    }
    SUBCASE("an absolute URI") {
        request = "GET http://localhost:80/ HTTP/1.0\r\ncOnTeNt-LeNgTh:0\r\n\r\n";
    }
    SUBCASE("an absolute URI without a path") {
        request = "GET http://localhost HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    }
    client.exchange(request, ok_response(instance_info));
}

TEST_CASE("the eleventh connection is told so and closed; the ten others go on") {
    ServedApi api;
    std::vector<std::unique_ptr<Client>> clients;
    for (int count = 0; count < 10; ++count) {
        clients.push_back(std::make_unique<Client>(api.loop, api.path));
        CHECK(clients.back()->is_quiet());
    }
    const std::string refusal =
        "HTTP/1.1 503\r\nServer: Firecracker API\r\nConnection: close\r\nContent-Length: 40\r\n"
        "\r\n{ \"error\": \"Too many open connections\" }";
    {
        Client eleventh = api.connect();
        CHECK(eleventh.receive(1000) == refusal);
        CHECK(eleventh.is_closed);
    }
    for (const auto& client : clients) {
        client->exchange("GET / HTTP/1.1\r\n\r\n", ok_response(instance_info));
    }
    clients.pop_back();
    api.loop.poll();
    Client again = api.connect();
    again.exchange("GET / HTTP/1.1\r\n\r\n", ok_response(instance_info));
}

TEST_CASE("a client that stops in the middle, or goes away, harms nobody") {
    ServedApi api;
    Client slow = api.connect();
    slow.send("PUT /entropy HTTP/1.1\r\nContent-Length: 100\r\n\r\n{");
    for (const char* part : {"", "GET / HT", "PUT /entropy HTTP/1.1\r\nContent-Length: 9\r\n\r\n{",
                             "GET / HTTP/1.1\r\n\r\n"}) {
        Client gone = api.connect();
        gone.send(part);
    }
    Client other = api.connect();
    other.exchange("GET / HTTP/1.1\r\n\r\n", ok_response(instance_info));
    CHECK(slow.is_quiet());
}

TEST_CASE("a client that never reads does not keep others from being answered") {
    ServedApi api;
    Client greedy = api.connect();
    // More responses than a socket buffers: the server stops to read, so that send() ends here.
    std::string requests;
    for (int count = 0; count < 50'000; ++count) {
        requests += "GET / HTTP/1.1\r\n\r\n";
    }
    const ssize_t sent =
        ::send(greedy.fd.get(), requests.data(), requests.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    CHECK(sent > 0);
    api.loop.poll();
    Client other = api.connect();
    other.exchange("GET / HTTP/1.1\r\n\r\n", ok_response(instance_info));
}

TEST_CASE("a socket path that exists or is too long is refused with Firecracker's sentence") {
    const TemporaryFolder folder;
    std::string path = folder.path / "taken";
    SUBCASE("it exists") {
        std::ofstream{path} << "somebody's";
    }
    SUBCASE("it is too long") {
        path += std::string(200, 'x');
    }
    SUBCASE("its folder does not exist") {
        path = folder.path / "no" / "such";
    }
    boost::asio::io_context loop;
    const std::string expected =
        "Failed to open the API socket at: " + path + ". Check that it is not already used.";
    try {
        Server server{loop, path, default_max_body_bytes,
                      [](const Request&) { return Response{}; }};
        FAIL("it listens");
    } catch (const std::runtime_error& error) {
        CHECK(error.what() == expected);
    }
}

}  // namespace
}  // namespace shoal::api
