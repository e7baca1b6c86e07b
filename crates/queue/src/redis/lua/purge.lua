-- Drops some jobs. ARGV: results, dead or waiting.
local STEP = 200
local dropped = 0
if ARGV[1] == 'waiting' then
  local cursor = '0'
  repeat
    local r = redis.call('HSCAN', OPEN, cursor, 'COUNT', STEP)
    cursor = r[1]
    for i = 1, #r[2], 2 do
      local id = r[2][i + 1]
      local f = redis.call('HMGET', job_key(id), 'state', 'lane')
      if f[1] == 'submitted' then
        delist(f[2], r[2][i])
        forget(id)
        dropped = dropped + 1
      end
    end
  until cursor == '0' or dropped >= STEP
  save()
  return dropped
end
local list = ARGV[1] == 'dead' and DEAD or DONE
for _, id in ipairs(redis.call('ZRANGE', list, 0, STEP - 1)) do
  forget(id)
  redis.call('ZREM', list, id)
  dropped = dropped + 1
end
save()
return dropped
