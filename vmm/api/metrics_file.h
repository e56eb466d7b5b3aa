// MetricsFile: writes the metrics as one line of JSON now and then, and tells them on request.
//
// As in Firecracker, a line holds what has been counted since the line before; a line that a full
// pipe does not take is counted as missed, and what it said is in the next one.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "devices/host/unique_fd.h"
#include "vmm/api/metrics_document.h"

namespace shoal::api {

class MetricsFile {
public:
    // `collect` fills a document with everything there is to tell.
    using Collect = std::function<void(MetricsDocument&)>;

    MetricsFile(Collect collect, std::string instance_id)
        : collect_{std::move(collect)}, instance_id_{std::move(instance_id)} {}

    // `labels` are in every line. Throws std::system_error with the path. Once only.
    void open(const std::string& path, std::map<std::string, std::string> labels);
    [[nodiscard]] bool is_open() const noexcept { return static_cast<bool>(file_); }

    // Writes a line, if there is a file. False: the line was not taken.
    bool write();

    [[nodiscard]] std::string prometheus_text() const;
    [[nodiscard]] std::uint64_t missed_lines() const noexcept { return missed_lines_; }

private:
    using Values = std::map<std::string, MetricsDocument::Values>;

    [[nodiscard]] std::string line_of(const Values& values) const;

    Collect collect_;
    std::string instance_id_;
    host::UniqueFd file_;
    std::map<std::string, std::string> labels_;
    Values written_;
    std::uint64_t missed_lines_ = 0;
    bool is_cut_ = false;  // the last line has its beginning only
};

}  // namespace shoal::api
