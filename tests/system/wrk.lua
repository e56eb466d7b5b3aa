-- wrk's script: counts the answers that are not what they must be, and prints one line at the end.
local threads = {}
bad = 0

function setup(thread)
    table.insert(threads, thread)
end

function response(status, _, body)
    if status ~= 200 or body ~= "a small file\n" then
        bad = bad + 1
    end
end

function done(summary)
    local errors = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout
    for _, thread in ipairs(threads) do
        errors = errors + thread:get("bad")
    end
    print(string.format("requests %d errors %d", summary.requests, errors))
end
