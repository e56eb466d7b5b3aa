// A real agent in a process of its own, over unix sockets instead of vsock.
#include "controlplane/exec_agent/agent.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/exec_agent/child.h"
#include "devices/host/os_error.h"
#include "devices/host/pipe.h"

namespace shoal::exec_agent::test {
namespace {

using exec::Ended;
using exec::Frame;
using exec::FrameType;

// The kernel chooses an abstract name.
host::UniqueFd listen_somewhere() {
    host::UniqueFd listener{
        host::check_os(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket")};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    // SAFETY: the sockets' own way to pass an address.
    host::check_os(
        ::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address.sun_family),
        "bind");
    host::check_os(::listen(listener.get(), 64), "listen");
    return listener;
}

[[noreturn]] void be_agent(host::UniqueFd listener, int input) {
    ::dup2(input, 0);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    host::UniqueFd signals{::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
    std::string words = "exit $(cat)";
    std::string flag = "-c";
    const pid_t program =
        start_program("/bin/sh", {words.data(), flag.data(), words.data(), nullptr});
    const int status = Agent{std::move(listener), std::move(signals), program}.run();
    ::_exit(WEXITSTATUS(status));
}

class AgentProcess {
public:
    AgentProcess() : listener_{listen_somewhere()}, input_{host::make_pipe()} {
        process_ = host::check_os(::fork(), "fork");
        if (process_ == 0) {
            input_.write = {};
            be_agent(std::move(listener_), input_.read.get());
        }
    }
    AgentProcess(const AgentProcess&) = delete;
    AgentProcess& operator=(const AgentProcess&) = delete;
    ~AgentProcess() {
        if (process_ != 0) {
            static_cast<void>(end("0"));
        }
    }

    // The program ends with this code.
    [[nodiscard]] int end(const std::string& code) {
        REQUIRE(::write(input_.write.get(), code.data(), code.size()) > 0);
        input_.write = {};
        int status = 0;
        REQUIRE(::waitpid(process_, &status, 0) == process_);
        process_ = 0;
        return WEXITSTATUS(status);
    }
    [[nodiscard]] host::UniqueFd connect() const {
        sockaddr_un address{};
        socklen_t size = sizeof address;
        // SAFETY: the sockets' own way to pass an address.
        auto* const name = reinterpret_cast<sockaddr*>(&address);
        REQUIRE(::getsockname(listener_.get(), name, &size) == 0);
        host::UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        REQUIRE(::connect(fd.get(), name, size) == 0);
        return fd;
    }

private:
    host::UniqueFd listener_;
    host::Pipe input_;
    pid_t process_ = 0;
};

// The host's side of a command.
class Caller {
public:
    explicit Caller(host::UniqueFd fd) : fd_{std::move(fd)} {}

    void send(std::string_view bytes) const {
        static_cast<void>(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
    }
    void start(std::vector<std::string> arguments, std::string folder = {},
               std::vector<std::string> environment = {}) const {
        send(exec::to_bytes(
            {FrameType::start,
             exec::to_payload({std::move(folder), std::move(arguments), std::move(environment)})}));
    }
    // One more frame; false: the connection has ended.
    bool read_frame() {
        std::array<char, 65536> bytes;
        for (;;) {
            if (const auto frame = frames.next()) {
                take(*frame);
                return true;
            }
            const ssize_t count = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
            if (count <= 0) {
                return false;
            }
            frames.append({bytes.data(), static_cast<std::size_t>(count)});
        }
    }
    Ended finish() {
        while (read_frame()) {
        }
        return ended.value_or(Ended{0, "it was cut off"});
    }
    void cut() { fd_ = {}; }

    exec::FrameReader frames;
    std::size_t credit = 0;
    std::string output;
    std::string errors;
    std::optional<Ended> ended;

private:
    void take(const Frame& frame) {
        if (frame.type == FrameType::credit) {
            credit += exec::credit_in(frame.payload).value();
        } else if (frame.type == FrameType::ended) {
            ended = exec::ended_in(frame.payload);
        } else {
            (frame.type == FrameType::output ? output : errors) += frame.payload;
        }
    }

    host::UniqueFd fd_;
};

std::string input(std::string_view bytes) {
    return exec::to_bytes({FrameType::input, bytes});
}

bool is_there(const std::string& process) {
    return std::filesystem::exists("/proc/" + process);
}

TEST_CASE("exec agent: a command's output, errors and exit code come apart") {
    const AgentProcess agent;
    Caller caller{agent.connect()};
    caller.start({"sh", "-c", "echo out; echo err >&2; pwd; echo $A$B; exit 7"}, "/proc",
                 {"A=1", "B=2"});
    CHECK(caller.finish() == Ended{7, ""});
    CHECK(caller.output == "out\n/proc\n12\n");
    CHECK(caller.errors == "err\n");
}

TEST_CASE("exec agent: a command that a signal ends, and those that cannot be started, say so") {
    const AgentProcess agent;
    const auto ended = [&agent](std::vector<std::string> words, const std::string& folder = {}) {
        Caller caller{agent.connect()};
        caller.start(std::move(words), folder);
        return caller.finish();
    };
    CHECK(ended({"sh", "-c", "kill -9 $$"}) == Ended{137, ""});
    CHECK(ended({"no-such-program"}) ==
          Ended{127, "cannot run no-such-program: No such file or directory"});
    CHECK(ended({"/etc/passwd"}) == Ended{126, "cannot run /etc/passwd: Permission denied"});
    CHECK(ended({"true"}, "/nowhere") == Ended{126, "there is no folder /nowhere"});
    CHECK(ended({"true"}, "/etc/passwd") == Ended{126, "there is no folder /etc/passwd"});
}

TEST_CASE("exec agent: input comes as far as it was granted, and back in order") {
    const AgentProcess agent;
    Caller caller{agent.connect()};
    caller.start({"cat"});
    std::string sent;
    for (std::size_t left = 1'000'000; left > 0;) {
        while (caller.credit == 0) {
            REQUIRE(caller.read_frame());
        }
        const std::size_t count = std::min({caller.credit, left, std::size_t{10'007}});
        std::string piece(count, '\0');
        for (char& byte : piece) {
            byte = static_cast<char>((sent.size() + piece.size()) * 31 % 251);
        }
        caller.credit -= count;
        left -= count;
        sent += piece;
        caller.send(input(piece));
    }
    caller.send(input(""));
    CHECK(caller.finish() == Ended{0, ""});
    CHECK(caller.output == sent);
}

TEST_CASE("exec agent: a command that closes its input still gets credit, and ends by itself") {
    const AgentProcess agent;
    Caller caller{agent.connect()};
    caller.start({"sh", "-c", "exec 0<&-; echo closed; exec sleep 1000"});
    while (caller.output.empty()) {
        REQUIRE(caller.read_frame());
    }
    const std::size_t credit = caller.credit;
    for (int piece = 0; piece < 4; ++piece) {
        caller.send(input(std::string(16384, 'x')));
    }
    while (caller.credit < credit + 4 * 16384) {
        REQUIRE(caller.read_frame());
    }
}

TEST_CASE("exec agent: who hangs up ends the command and what it has started") {
    const AgentProcess agent;
    Caller caller{agent.connect()};
    SUBCASE("silent ones") {
        caller.start({"sh", "-c", "sleep 1000 & echo $! $$; wait"});
    }
    SUBCASE("one that writes for ever and is not read") {
        caller.start({"sh", "-c", "sleep 1000 & echo $! $$; exec yes"});
    }
    while (caller.output.find('\n') == std::string::npos) {
        REQUIRE(caller.read_frame());
    }
    const std::size_t space = caller.output.find(' ');
    const std::string background = caller.output.substr(0, space);
    const std::string first = caller.output.substr(space + 1, caller.output.find('\n') - space - 1);
    CHECK(is_there(background));
    caller.cut();
    // Another command's end comes behind it: the agent has seen to the first.
    while (is_there(first)) {
        Caller other{agent.connect()};
        other.start({"true"});
        CHECK(other.finish() == Ended{0, ""});
    }
}

TEST_CASE("exec agent: callers who do not keep to the protocol are refused or cut off") {
    const AgentProcess agent;
    Caller caller{agent.connect()};
    SUBCASE("garbage") {
        caller.send("GET / HTTP/1.1\r\n\r\n");
        CHECK(caller.finish() == Ended{126, "there is no frame of type 71"});
    }
    SUBCASE("input before the start") {
        caller.send(input("x"));
        CHECK(caller.finish() == Ended{126, "a frame of type 2 is not expected here"});
    }
    SUBCASE("two starts") {
        caller.start({"sleep", "1000"});
        caller.start({"sleep", "1000"});
        CHECK(caller.finish() == Ended{126, "a frame of type 1 is not expected here"});
    }
    SUBCASE("a start that is none") {
        caller.send(exec::to_bytes({FrameType::start, "abc"}));
        CHECK(caller.finish() == Ended{126, "a start is cut off"});
    }
    SUBCASE("a frame that is too large") {
        caller.send({"\1\1\0\1\0", 5});
        CHECK(caller.finish().reason.find("65537") != std::string::npos);
    }
    SUBCASE("more input than was granted") {
        caller.start({"sleep", "1000"});
        caller.send(input(std::string(65536, 'x')) + input("x") + input(std::string(65536, 'x')));
        CHECK(caller.finish() == Ended{0, "it was cut off"});
    }
    Caller other{agent.connect()};
    other.start({"true"});
    CHECK(other.finish() == Ended{0, ""});
}

TEST_CASE("exec agent: no more commands at once than there may be") {
    const AgentProcess agent;
    std::vector<Caller> callers;
    for (std::size_t count = 0; count < exec::max_commands; ++count) {
        callers.emplace_back(agent.connect());
        callers.back().start({"cat"});
        REQUIRE(callers.back().read_frame());
    }
    Caller last{agent.connect()};
    last.start({"true"});
    CHECK(last.finish() == Ended{126, "the microVM runs 32 commands already"});
    callers.front().send(input(""));
    CHECK(callers.front().finish() == Ended{0, ""});
    Caller next{agent.connect()};
    next.start({"true"});
    CHECK(next.finish() == Ended{0, ""});
}

TEST_CASE("exec agent: it ends as its program does") {
    AgentProcess agent;
    Caller caller{agent.connect()};
    caller.start({"cat"});
    CHECK(agent.end("9") == 9);
    CHECK(caller.finish() == Ended{0, "it was cut off"});
}

}  // namespace
}  // namespace shoal::exec_agent::test
