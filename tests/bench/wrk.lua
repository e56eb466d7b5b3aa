-- wrk's script: one line at the end with requests a second, megabytes a second, the 99th percentile of
-- the latency in ms, and the number of errors.
function done(summary, latency)
    local errors = summary.errors
    local seconds = summary.duration / 1e6
    print(string.format("%.1f %.1f %.3f %d", summary.requests / seconds, summary.bytes / seconds / 1e6,
                        latency:percentile(99) / 1e3,
                        errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
