// Lines of what was counted since the last line.
#include "vmm/api/metrics_file.h"

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "devices/host/clock.h"
#include "devices/host/nonblocking_file.h"

namespace shoal::api {
namespace {

// Measured once, so not told as a difference.
bool is_gauge(std::string_view counter) {
    return counter.ends_with("_us");
}

std::uint64_t difference(std::uint64_t value, std::uint64_t told) {
    return value >= told ? value - told : value;
}

// The named value, or zero.
template <typename T>
T find(const std::map<std::string, T>& values, const std::string& name) {
    const auto entry = values.find(name);
    return entry == values.end() ? T{} : entry->second;
}

boost::json::object group_of(const MetricsDocument::Values& now,
                             const MetricsDocument::Values& told) {
    boost::json::object group;
    for (const auto& [name, value] : now.counters) {
        group[name] = is_gauge(name) ? value : difference(value, find(told.counters, name));
    }
    // Firecracker tells the extremes of all time, and the sum since the last line.
    for (const auto& [name, latency] : now.latencies) {
        const std::uint64_t told_us = find(told.latencies, name).sum_us();
        group[name] = {{"min_us", latency.min_us()},
                       {"max_us", latency.max_us()},
                       {"sum_us", difference(latency.sum_us(), told_us)}};
    }
    return group;
}

}  // namespace

void MetricsFile::open(const std::string& path, std::map<std::string, std::string> labels) {
    file_ = host::open_nonblocking(path);
    labels_ = std::move(labels);
}

std::string MetricsFile::line_of(const Values& values) const {
    boost::json::object line;
    line["utc_timestamp_ms"] = host::realtime_ns() / 1'000'000;
    for (const auto& [name, value] : labels_) {
        line[name] = value;
    }
    for (const auto& [key, group] : values) {
        const auto before = written_.find(key);
        line[key] =
            group_of(group, before == written_.end() ? MetricsDocument::Values{} : before->second);
    }
    return boost::json::serialize(line) + "\n";
}

bool MetricsFile::write() {
    if (!file_) {
        return true;
    }
    MetricsDocument document;
    collect_(document);
    Values values = document.by_key();
    const std::string line = line_of(values);
    // A line of which a part was written ends here, so that no more is lost than it.
    if (is_cut_ && host::try_write_line(file_.get(), "\n")) {
        is_cut_ = false;
    }
    const std::size_t count = is_cut_ ? 0 : host::try_write(file_.get(), line);
    if (count < line.size()) {
        is_cut_ = is_cut_ || count > 0;
        ++missed_lines_;
        return false;
    }
    written_ = std::move(values);
    return true;
}

std::string MetricsFile::prometheus_text() const {
    MetricsDocument document;
    collect_(document);
    return document.prometheus_text(instance_id_);
}

}  // namespace shoal::api
