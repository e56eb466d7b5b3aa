// Wires the event loop, the microVM, the API, the log and the metrics.
#include "vmm/api_mode.h"

#include <boost/asio/steady_timer.hpp>
#include <fstream>
#include <iterator>
#include <optional>

#include "devices/host/deadline_file.h"
#include "devices/host/log.h"
#include "devices/host/scheduling.h"
#include "devices/host/write_signals.h"
#include "vmm/api/actions.h"
#include "vmm/api/api.h"
#include "vmm/api/instance_info.h"
#include "vmm/api/metrics.h"
#include "vmm/api/snapshot.h"
#include "vmm/api/vm_config.h"
#include "vmm/jail/jail.h"
#include "vmm/machine/boot_time.h"
#include "vmm/machine/microvm_factory.h"
#include "vmm/migration/migration.h"

namespace shoal::vmm {
namespace {

constexpr std::chrono::seconds metrics_period{60};  // Firecracker's
constexpr std::chrono::seconds max_recording{30};   // of a working set

std::string read_config_file(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    try {
        file.exceptions(std::ios::failbit | std::ios::badbit);
        return {std::istreambuf_iterator<char>{file}, {}};
    } catch (const std::ios_base::failure&) {  // missing, unreadable, or a directory
        throw OptionsError{ExitCode::bad_configuration,
                           "Unable to open or read from the configuration file " + path};
    }
}

std::optional<host::DeadlineFile> open_fence(const std::string& path) {
    return path.empty() ? std::nullopt
                        : std::optional<host::DeadlineFile>{std::in_place, path,
                                                            host::DeadlineFile::Access::read};
}

// The process in this mode. Members are in the order in which they need each other.
class ApiProcess {
public:
    ApiProcess(const ApiOptions& options, std::uint64_t now_us)
        : options_{options},
          jail_{options.jail},
          started_us_{options.start_time_us != 0 ? options.start_time_us : now_us},
          fence_{open_fence(options.fence)},
          microvm_{make_microvm({loop_, options.boot_timer ? BootTimerLog::on : BootTimerLog::off,
                                 options.ready_fd, fence_ ? &*fence_ : nullptr, options.warm,
                                 [this] { jail_.enter(jail::Role::vcpu); }})},
          metrics_{[this](api::MetricsDocument& document) { collect(document); },
                   options.instance_id},
          migration_{*microvm_, loop_.context()},
          context_{*microvm_, metrics_, migration_, options.instance_id},
          api_{context_} {}

    int run() {
        if (options_.metrics_path) {
            api::set_metrics(context_, {.metrics_path = *options_.metrics_path, .properties = {}});
        }
        if (!options_.socket_path.empty() || options_.connection >= 0) {
            listen();
        }
        // From here on it is requests and guests that say what is done.
        jail_.enter(jail::Role::service);
        if (options_.config_path) {
            start_from_file(*options_.config_path);
        }
        write_metrics_later();
        loop_.run();
        migration_.stop();
        record_working_set();
        metrics_.write();
        return finish(microvm_->finish());
    }

private:
    void listen() {
        const api::Session::Handler handler = [this](const api::Request& request) {
            auto response = api_.handle(request);
            limit_recording();
            return response;
        };
        if (options_.connection >= 0) {
            connection_.emplace(loop_.context(), options_.connection, options_.max_body_bytes,
                                handler);
        }
        if (!options_.socket_path.empty()) {
            server_.emplace(loop_.context(), options_.socket_path, options_.max_body_bytes,
                            handler);
        }
        const ProcessTimes now = ProcessTimes::now();
        startup_us_ = now.monotonic_us - started_us_;
        startup_cpu_us_ = now.cpu_us - std::min(now.cpu_us, options_.start_time_cpu_us) +
                          options_.parent_cpu_time_us;
    }

    // Nobody has to tell the moment: what a guest used for long is not what its copies wait for.
    void limit_recording() {
        if (!context_.working_set || is_recording_limited_) {
            return;
        }
        is_recording_limited_ = true;
        recording_timer_.expires_after(max_recording);
        recording_timer_.async_wait([this](const boost::system::error_code& error) {
            if (!error) {
                record_working_set();
            }
        });
    }

    // Of a guest that has ended, or has run for long enough, before anybody told the moment.
    void record_working_set() noexcept {
        try {
            api::record_working_set(context_);
        } catch (const std::exception& error) {
            host::log(host::LogLevel::warn,
                      "The working set is not recorded: " + std::string{error.what()});
        }
    }

    void start_from_file(const std::string& path) {
        try {
            api::apply_config_file(context_, read_config_file(path));
            api::start_microvm(context_);
        } catch (const OptionsError&) {
            throw;
        } catch (const std::exception& error) {
            throw OptionsError{
                ExitCode::bad_configuration,
                "Configuration for VMM from one single json failed: " + std::string{error.what()}};
        }
        host::log(host::LogLevel::info,
                  "Successfully started microvm that was configured from one single json");
    }

    void write_metrics_later() {
        metrics_timer_.expires_after(metrics_period);
        metrics_timer_.async_wait([this](const boost::system::error_code& error) {
            if (!error) {
                metrics_.write();
                write_metrics_later();
            }
        });
    }

    void collect(api::MetricsDocument& document) const {
        host::MetricSink& server = document.group("api_server", {});
        server.counter("process_startup_time_us", startup_us_);
        server.counter("process_startup_time_cpu_us", startup_cpu_us_);
        api_.counters().report(document);
        const host::LogCounters log = host::log_counters();
        host::MetricSink& logger = document.group("logger", {});
        logger.counter("missed_log_count", log.missed);
        logger.counter("rate_limited_log_count", log.rate_limited);
        logger.counter("missed_metrics_count", metrics_.missed_lines());
        microvm_->report_metrics(document);
    }

    static int finish(const Ending& ending) {
        if (!ending.sentence.empty()) {
            std::fprintf(stderr, "shoal-vmm: %s\n", ending.sentence.c_str());
            host::log(host::LogLevel::error, ending.sentence);
        }
        host::log(ending.code == 0 ? host::LogLevel::info : host::LogLevel::error,
                  "Firecracker exiting. exit_code=" + std::to_string(ending.code));
        return ending.code;
    }

    const ApiOptions& options_;
    const jail::Jail jail_;
    const std::uint64_t started_us_;
    std::uint64_t startup_us_ = 0;
    std::uint64_t startup_cpu_us_ = 0;
    EventLoop loop_;
    std::optional<host::DeadlineFile> fence_;
    std::unique_ptr<Microvm> microvm_;
    api::MetricsFile metrics_;
    migration::Migration migration_;
    api::Context context_;
    api::Api api_;
    boost::asio::steady_timer metrics_timer_{loop_.context()};
    boost::asio::steady_timer recording_timer_{loop_.context()};
    bool is_recording_limited_ = false;
    std::optional<api::Server> connection_;
    std::optional<api::Server> server_;
};

}  // namespace

int run_with_api(const ApiOptions& options, std::uint64_t now_us) {
    try {
        host::configure_log(options.log);
    } catch (const std::system_error& error) {
        throw std::runtime_error("Could not initialize logger: " + std::string{error.what()});
    }
    host::log(host::LogLevel::info,
              std::string{"Running Firecracker v"} + api::firecracker_version);
    host::ignore_write_signals();
    install_kick_signal();
    host::prefer_short_slices();
    ApiProcess process{options, now_us};
    return process.run();
}

}  // namespace shoal::vmm
