-- What every script prints at the end: one line of JSON, latencies in microseconds.
function done(summary, latency, requests)
    local e = summary.errors
    io.write(string.format(
        'BENCH {"requests":%d,"seconds":%.6f,"p50_us":%.1f,"p99_us":%.1f,'
            .. '"errors":{"connect":%d,"read":%d,"write":%d,"timeout":%d,"status":%d}}\n',
        summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
        e.connect, e.read, e.write, e.timeout, e.status))
end

-- Each thread of wrk has a Lua of its own; this numbers them from 0.
local threads = 0
function setup(thread)
    thread:set("number", threads)
    threads = threads + 1
end

-- The lines of a file that belong to this thread, one in every `count`.
function own_lines(path, count)
    local lines, index = {}, 0
    for line in io.lines(path) do
        if index % count == number then lines[#lines + 1] = line end
        index = index + 1
    end
    return lines
end
