// shoal-supervisor: beside every microVM, started by shoald and by nobody else.
#include <fcntl.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <exception>

#include "controlplane/supervisor/supervisor.h"
#include "devices/host/os_error.h"

namespace {

using namespace shoal;

bool parse(const char* word, std::uint64_t& number) {
    const char* end = word + std::strlen(word);
    const auto [rest, error] = std::from_chars(word, end, number);
    return error == std::errc{} && rest == end;
}

// Where shoald looks for it, since nobody sees stderr.
int fail(const std::string& sentence) {
    std::fprintf(stderr, "shoal-supervisor: %s\n", sentence.c_str());
    try {
        node::write_whole(AT_FDCWD, node::exit_file,
                          node::to_text(node::Exit{125, node::wall_clock_ms(), sentence}));
    } catch (const std::exception&) {
        return 2;  // shoald finds a supervisor that left no word.
    }
    return 1;
}

}  // namespace

int main(int argc, char** argv) {
    supervisor::Order order;
    if (argc < 6 || !parse(argv[2], order.log_limit_bytes) || !parse(argv[3], order.time_limit_s)) {
        std::fprintf(
            stderr,
            "Usage: shoal-supervisor LOG LOG_LIMIT_BYTES TIME_LIMIT_S CGROUPS COMMAND [ARGS...]\n"
            "For shoald: runs a microVM in the run folder that is the working directory.\n");
        return 2;
    }
    order.log = argv[1];
    order.cgroups = argv[4];
    order.words = {argv + 5, static_cast<std::size_t>(argc - 5)};
    try {
        // The VMM inherits the lock, and so holds it for as long as it lives; not the pipe.
        host::check_os(::fcntl(node::lock_fd, F_GETFD), "the run folder's lock");
        host::check_os(::fcntl(node::ready_fd, F_SETFD, FD_CLOEXEC), "the pipe to shoald");
        supervisor::Supervisor{order}.run();
        return 0;
    } catch (const std::exception& error) {
        return fail(error.what());
    }
}
