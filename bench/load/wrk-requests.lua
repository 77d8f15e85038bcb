-- Asks for the paths of the file named by the first argument in turn, with the method, the headers and
-- the body that are given there, and says at the end what came of it.
local requests = {}
local at = 0

function init(args)
  local plan = dofile(args[1])
  for i, path in ipairs(plan.paths) do
    requests[i] = wrk.format(plan.method, path, plan.headers, plan.body)
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"bytes":%d,"microseconds":%d,"refused":%d,"broken":%d,"p50":%d,"p99":%d}\n',
    summary.requests, summary.bytes, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
