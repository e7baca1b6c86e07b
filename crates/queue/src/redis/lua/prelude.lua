-- Steps that all scripts but the push share; the push leaves them out for speed.
-- The consumer that holds entries which wait: handed back, or between two deliveries.
local PARKED = '-'
-- Milliseconds of idleness after which an entry may be claimed. Longer than any lease: a lease
-- of L is begun by setting the entry's idle time to IDLE - L.
local IDLE = 90000000
local DONE, DEAD, UNREPORTED = P .. ':done', P .. ':dead', P .. ':unreported'
local WORKERS = P .. ':workers'
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- The next number of the one sequence of a queue.
local function next_seq() return redis.call('HINCRBY', META, 'seq', 1) end

-- The queue's metadata: read once here, written once by save().
local KEPT = {'format', 'bytes', 'finished', 'redelivered', 'fenced', 'results_dropped', 'takes',
  'lows', 'tidy', 'trimmed'}
local meta, changed = {}, {}
for i, value in ipairs(redis.call('HMGET', META, unpack(KEPT))) do
  meta[KEPT[i]] = tonumber(value or 0) or 0
end
local function set(name, value) meta[name], changed[name] = value, value end
local function add(name, by) set(name, meta[name] + by) end

-- Calls a command with many values between its head and its tail, some thousands at a time: Lua
-- hands over no more.
local function call_many(head, values, tail)
  local AT_ONCE = 4000
  for from = 1, #values, AT_ONCE do
    local words = {unpack(head)}
    for i = from, math.min(from + AT_ONCE - 1, #values) do words[#words + 1] = values[i] end
    for _, word in ipairs(tail or {}) do words[#words + 1] = word end
    redis.call(unpack(words))
  end
end

-- Gives a job a new entry at the end of its lane.
local function enlist(id, lane)
  local entry = next_seq() .. '-0'
  redis.call('XADD', lane_key(lane), entry, 'id', id)
  redis.call('HSET', OPEN, entry, id)
  redis.call('HSET', job_key(id), 'state', 'submitted', 'entry', entry)
end

-- Takes entries of jobs out of their lane.
local function delist_all(lane, entries)
  call_many({'XACK', lane_key(lane), G}, entries)
  call_many({'XDEL', lane_key(lane)}, entries)
  call_many({'HDEL', OPEN}, entries)
end
local function delist(lane, entry) delist_all(lane, {entry}) end

-- Removes a job that is in no lane, with all that belongs to it.
local function forget(id)
  local f = redis.call('HMGET', job_key(id), 'key', 'bytes')
  if f[1] then redis.call('DEL', key_key(f[1])) end
  redis.call('DEL', job_key(id))
  redis.call('ZREM', DONE, id)
  redis.call('ZREM', DEAD, id)
  redis.call('ZREM', UNREPORTED, id)
  if f[2] then add('bytes', -tonumber(f[2])) end
end

-- Adds a reason to a job; keeps the last few.
local function add_reason(id, attempt, why)
  local k = job_key(id)
  local lines = (redis.call('HGET', k, 'reasons') or '') .. 'lease ' .. attempt .. ': ' .. why .. '\n'
  local _, n = string.gsub(lines, '\n', '')
  while n > 8 do
    lines = string.sub(lines, string.find(lines, '\n', 1, true) + 1)
    n = n - 1
  end
  redis.call('HSET', k, 'reasons', lines)
end

-- Puts a job on the dead list.
local function bury(id, lane, entry)
  delist(lane, entry)
  redis.call('HSET', job_key(id), 'state', 'failed', 'dead', 1, 'finished', now)
  redis.call('ZADD', DEAD, next_seq(), id)
end

-- Records the one outcome of a job, of which so many bytes counted before. Its entry and its place
-- among the outcomes follow with those of others, by settle().
local ended = {}
local function record(id, lane, entry, bytes, state, outcome, report)
  -- The prompt is of no use any more.
  redis.call('HSET', job_key(id), 'record', '', 'state', state, 'outcome', outcome,
    'finished', now, 'bytes', #outcome)
  ended[#ended + 1] = {id = id, lane = lane, entry = entry, report = report}
  add('bytes', #outcome - tonumber(bytes or 0))
  add('finished', 1)
end

local function settle()
  if #ended == 0 then return end
  local entries, done, unreported = {}, {}, {}
  local order = redis.call('HINCRBY', META, 'seq', #ended) - #ended
  for i, job in ipairs(ended) do
    local of_lane = entries[job.lane] or {}
    entries[job.lane] = of_lane
    of_lane[#of_lane + 1] = job.entry
    done[2 * i - 1], done[2 * i] = order + i, job.id
    if job.report then
      unreported[#unreported + 1], unreported[#unreported + 2] = order + i, job.id
    end
  end
  for lane, of_lane in pairs(entries) do delist_all(lane, of_lane) end
  call_many({'ZADD', DONE}, done)
  call_many({'ZADD', UNREPORTED}, unreported)
  ended = {}
end

-- Writes what is still to be written.
local function save()
  settle()
  local fields = {}
  for name, value in pairs(changed) do
    fields[#fields + 1], fields[#fields + 2] = name, value
  end
  call_many({'HSET', META}, fields)
end

-- Drops outcomes beyond their bounds, oldest first, never the newest, and not all at once.
local function trim(results_max, ttl, bytes_max)
  settle()
  local kept = redis.call('ZCARD', DONE)
  local TRIM_EVERY = 1000
  -- A time far ahead was written before the clock was set back.
  local by_age = meta.trimmed <= now or meta.trimmed > now + TRIM_EVERY or ttl < TRIM_EVERY
  if by_age then set('trimmed', now + TRIM_EVERY) end
  for _ = 1, 256 do
    local too_many = kept > results_max or (kept > 1 and meta.bytes > bytes_max)
    if not (too_many or by_age) then return end
    local oldest = redis.call('ZRANGE', DONE, 0, 0)[1]
    if not oldest then return end
    local finished = redis.call('HGET', job_key(oldest), 'finished')
    if not too_many and tonumber(finished or 0) + ttl >= now then return end
    forget(oldest)
    redis.call('ZREM', DONE, oldest)
    add('results_dropped', 1)
    kept = kept - 1
  end
end
