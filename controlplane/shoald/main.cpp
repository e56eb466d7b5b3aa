// shoald: the daemon of one host.
#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <exception>

#include "controlplane/shoald/daemon.h"
#include "controlplane/shoald/options.h"
#include "devices/host/log.h"

namespace {

// Each microVM takes two descriptors; the usual soft limit of 1024 is meant for select(2).
void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
    }
}

int fail(const char* sentence, int code) {
    std::fprintf(stderr, "shoald: %s\n", sentence);
    return code;
}

}  // namespace

int main(int argc, char** argv) {
    using namespace shoal;
    try {
        const auto options = daemon::parse_options({argv, static_cast<std::size_t>(argc)});
        if (!options.text.empty()) {
            std::fputs(options.text.c_str(), stdout);
            return std::fflush(stdout) == 0 ? 0 : fail("cannot write to stdout", 1);
        }
        std::signal(SIGPIPE, SIG_IGN);
        raise_descriptor_limit();
        host::configure_log({"shoald", {}, host::LogLevel::info, true, false, {}});
        daemon::run(options);
        return 0;
    } catch (const daemon::OptionsError& error) {
        return fail(error.what(), 2);
    } catch (const std::exception& error) {
        return fail(error.what(), 1);
    }
}
