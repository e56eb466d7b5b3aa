// Fork, exec, and HTTP over a socket pair.
#include "controlplane/cli/vmm_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <cstdlib>

#include "controlplane/cli/cli_error.h"
#include "controlplane/cli/installation.h"
#include "devices/host/os_error.h"
#include "devices/host/pipe.h"

namespace shoal::cli {
namespace {

namespace http = boost::beast::http;
using boost::asio::local::stream_protocol;

struct Ends {
    host::UniqueFd ours;
    host::UniqueFd theirs;
};

Ends make_connection() {
    std::array<int, 2> fds{};
    host::check_os(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), "socketpair");
    return {host::UniqueFd{fds[0]}, host::UniqueFd{fds[1]}};
}

// Of an answer that refuses.
std::string sentence_of(const http::response<http::string_body>& answer) {
    boost::system::error_code error;
    const auto document = boost::json::parse(answer.body(), error);
    const auto* object = document.if_object();
    const auto* fault = object != nullptr ? object->if_contains("fault_message") : nullptr;
    if (fault != nullptr && fault->is_string()) {
        return fault->get_string().c_str();
    }
    return "shoal-vmm answered " + std::to_string(answer.result_int());
}

}  // namespace

VmmProcess::VmmProcess(const std::string& program, const std::vector<std::string>& allowed)
    : connection_{context_} {
    Ends connection = make_connection();
    host::Pipe output = host::make_pipe();
    host::Pipe ready = host::make_pipe();
    std::vector<std::string> words{program,
                                   "--api-fd",
                                   std::to_string(connection.theirs.get()),
                                   "--ready-fd",
                                   std::to_string(ready.write.get()),
                                   "--level",
                                   "Off"};
    for (const std::string& path : allowed) {
        words.insert(words.end(), {"--allow", path});
    }
    const pid_t parent = ::getpid();
    pid_ = static_cast<pid_t>(host::check_os(::fork(), "fork"));
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() == parent) {
            for (const int fd : {connection.theirs.get(), ready.write.get()}) {
                ::fcntl(fd, F_SETFD, 0);
            }
            become(words, output.write.get());
        }
        ::_exit(1);
    }
    output_ = std::move(output.read);
    ready_ = std::move(ready.read);
    connection_.assign(stream_protocol{},
                       host::check_os(::fcntl(connection.ours.get(), F_DUPFD_CLOEXEC, 0), "fcntl"));
}

VmmProcess::~VmmProcess() {
    end();
}

void VmmProcess::end() {
    if (pid_ > 0) {
        ::kill(pid_, SIGKILL);
        static_cast<void>(wait());
    }
}

// In the child.
void VmmProcess::become(std::vector<std::string>& words, int output) {
    const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    exec(words);
    std::fprintf(stderr, "shoal: cannot run %s\n", words.front().c_str());
    ::_exit(1);
}

void VmmProcess::put(const std::string& path, const boost::json::object& body) {
    send("PUT", path, body);
    expect_done();
}

void VmmProcess::patch(const std::string& path, const boost::json::object& body) {
    send("PATCH", path, body);
    expect_done();
}

void VmmProcess::send_put(const std::string& path, const boost::json::object& body) {
    send("PUT", path, body);
}

void VmmProcess::send(const char* method, const std::string& path,
                      const boost::json::object& body) {
    http::request<http::string_body> request{http::string_to_verb(method), path, 11};
    request.set(http::field::host, "localhost");
    request.set(http::field::content_type, "application/json");
    request.body() = boost::json::serialize(body);
    request.prepare_payload();
    boost::system::error_code error;
    http::write(connection_, request, error);
    if (error) {
        throw CliError("shoal-vmm does not take requests: " + error.message());
    }
}

void VmmProcess::expect_done() {
    boost::beast::flat_buffer buffer;
    http::response<http::string_body> answer;
    boost::system::error_code error;
    http::read(connection_, buffer, answer, error);
    if (error) {
        throw CliError("shoal-vmm gave no answer: " + error.message());
    }
    if (answer.result() != http::status::no_content) {
        throw CliError(sentence_of(answer));
    }
}

int VmmProcess::wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0) {
        if (errno != EINTR) {
            host::throw_os_error("waitpid");
        }
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace shoal::cli
