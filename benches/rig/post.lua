-- For wrk: posts the file named by RIG_BODY with the headers of RIG_HEADERS
-- (one `name: value` a line) and prints a line of JSON at the end.
local file = assert(io.open(os.getenv("RIG_BODY"), "rb"))
wrk.method, wrk.body = "POST", file:read("*a")
file:close()
wrk.headers["content-type"] = "application/json"
for name, value in (os.getenv("RIG_HEADERS") or ""):gmatch("([^:\n]+): ([^\n]*)") do
  wrk.headers[name] = value
end

function done(summary, latency)
  local e = summary.errors
  local bad = e.connect + e.read + e.write + e.status + e.timeout
  local ok = summary.requests - e.status
  print(string.format(
    '{"ok":%d,"bad":%d,"rps":%.1f,"p50":%d,"p99":%d,"max":%d,"complaint":"connect %d, read %d, write %d, status %d, timeout %d"}',
    ok, bad, ok / (summary.duration / 1e6), latency:percentile(50), latency:percentile(99), latency.max,
    e.connect, e.read, e.write, e.status, e.timeout))
end
