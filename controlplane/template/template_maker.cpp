// `shoal snapshot` as a child that dies with us; what it prints is the reason when it fails.
#include "controlplane/template/template_maker.h"

#include <fcntl.h>

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "controlplane/content/copy_file.h"
#include "controlplane/node/process/child_process.h"
#include "devices/host/os_error.h"
#include "devices/host/pipe.h"
#include "devices/host/random.h"

namespace shoal::templates {
namespace {

namespace fs = std::filesystem;
using boost::system::error_code;

// Of what it printed: the last words, which say what went wrong.
constexpr std::size_t max_output_bytes = 512;

// The VMM makes the TAP, which goes with it, and which nobody listens to. The address is each
// clone's own (RFC 3927).
std::string network_of_template() {
    std::array<char, 16> tap{};
    std::snprintf(tap.data(), tap.size(), "tmpl-%08x", host::random_value<std::uint32_t>());
    return "tap=" + std::string{tap.data()} + ",ip=169.254.1.2/16";
}

std::vector<std::string> words_of(const std::string& shoal, const model::TemplateSpec& spec,
                                  const std::string& folder) {
    std::vector<std::string> words{shoal,       "snapshot",
                                   "--to",      folder,
                                   "--memory",  std::to_string(spec.memory_mib),
                                   "--vcpus",   std::to_string(spec.vcpus),
                                   "--timeout", std::to_string(spec.timeout_s)};
    for (const std::string& assignment : spec.environment) {
        words.insert(words.end(), {"--env", assignment});
    }
    if (spec.vsock) {
        words.emplace_back("--vsock");
    }
    if (spec.exec) {
        words.emplace_back("--exec");
    }
    if (spec.network) {
        words.insert(words.end(), {"--network", network_of_template()});
    }
    if (spec.ready_line) {
        words.insert(words.end(), {"--ready-line", *spec.ready_line});
    }
    words.insert(words.end(), {"--", spec.program});
    words.insert(words.end(), spec.arguments.begin(), spec.arguments.end());
    return words;
}

// Of a folder that somebody else has, which may go away. What clones have read ahead comes along
// where it is there; without it they are slower and nothing else.
void copy_files(const std::string& from, const std::string& to) {
    for (const auto path_in : {state_in, memory_in}) {
        content::copy_file(path_in(from), path_in(to));
    }
    std::error_code ignored;
    fs::create_directory(working_set_folder_in(to), ignored);
    fs::copy_file(memory_in(from) + ".working-set", working_set_in(to), ignored);
}

}  // namespace

// One that runs. Keeps itself alive.
class TemplateMaker::Making : public std::enable_shared_from_this<Making> {
public:
    using Done = std::move_only_function<void(std::string failure)>;

    Making(boost::asio::io_context& context, Done done)
        : output_{context}, process_{context}, done_{std::move(done)} {}
    Making(const Making&) = delete;
    Making& operator=(const Making&) = delete;
    ~Making() {
        if (child_ > 0) {
            ::kill(child_, SIGKILL);
            static_cast<void>(node::wait_for_child(child_));
        }
    }

    void start(const std::vector<std::string>& words) {
        host::Pipe pipe = host::make_pipe();
        output_.assign(host::check_os(::fcntl(pipe.read.get(), F_DUPFD_CLOEXEC, 0), "F_DUPFD"));
        const pid_t child = node::start_child(words, pipe.write.get());
        pipe.write = {};
        const host::UniqueFd process = node::open_child(child);
        child_ = child;
        process_.assign(host::check_os(::fcntl(process.get(), F_DUPFD_CLOEXEC, 0), "F_DUPFD"));
        read();
    }

private:
    void read() {
        output_.async_read_some(boost::asio::buffer(buffer_),
                                [self = shared_from_this()](error_code error, std::size_t count) {
                                    error ? self->wait() : self->append(count);
                                });
    }
    void append(std::size_t count) {
        text_.append(buffer_.data(), count);
        if (text_.size() > max_output_bytes) {
            text_.erase(0, text_.size() - max_output_bytes);
        }
        read();
    }
    // It has closed its output, and ends soon: on a busy host that takes a while.
    void wait() {
        process_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                            [self = shared_from_this()](error_code) { self->finish(); });
    }
    void finish() {
        const bool is_done = node::wait_for_child(std::exchange(child_, 0));
        const std::string words = node::last_words(text_);
        done_(is_done ? "" : words.empty() ? "shoal snapshot failed" : words);
    }

    boost::asio::posix::stream_descriptor output_;
    boost::asio::posix::stream_descriptor process_;
    Done done_;
    pid_t child_ = 0;  // to be waited for
    std::array<char, 4096> buffer_{};
    std::string text_;
};

void TemplateMaker::make(const model::TemplateSpec& spec, Made made) {
    const std::string partial = folder_.make_partial();
    if (!spec.from.empty()) {
        return adopt(spec, partial, std::move(made));
    }
    auto done = [this, spec, partial, made = std::move(made)](const std::string& failure) mutable {
        if (failure.empty()) {
            return adopt(spec, partial, std::move(made));
        }
        std::error_code ignored;
        fs::remove_all(partial, ignored);
        made({{}, failure});
    };
    try {
        std::make_shared<Making>(context_, std::move(done))->start(words_of(shoal_, spec, partial));
    } catch (...) {
        std::error_code ignored;
        fs::remove_all(partial, ignored);
        throw;
    }
}

// Reads and flushes all of it.
void TemplateMaker::adopt(const model::TemplateSpec& spec, const std::string& partial, Made made) {
    boost::asio::post(workers_, [this, spec, partial, made = std::move(made)]() mutable {
        content::MakeOutcome<model::Template> result;
        try {
            if (!spec.from.empty()) {
                copy_files(spec.from, partial);
            }
            const Sizes sizes = sizes_of(partial);
            result.made = model::Template{
                spec.name,  folder_.adopt(partial), spec.program, sizes.memory_mib, spec.vcpus,
                spec.vsock, sizes.disk_bytes,       spec.exec,    spec.network};
        } catch (const std::exception& error) {
            std::error_code ignored;
            fs::remove_all(partial, ignored);
            result.failure = error.what();
        }
        boost::asio::post(context_, [made = std::move(made), result]() mutable { made(result); });
    });
}

}  // namespace shoal::templates
