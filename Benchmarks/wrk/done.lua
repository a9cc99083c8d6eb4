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

-- Makes each connection wait between an answer and its next request, a random time with this mean, in milliseconds. wrk
-- times a request from when it is sent. To be called in `init`: wrk looks for `delay` right after it.
function pace(mean)
    mean = tonumber(mean)
    if not mean then return end
    -- wrk takes whole milliseconds; what is cut off is given back by chance.
    function delay() return math.floor(math.random() * 2 * mean + math.random()) end
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
