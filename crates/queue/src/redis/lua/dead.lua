-- Ids on the dead list, oldest first. ARGV: how many.
if tonumber(ARGV[1]) == 0 then return {} end
return redis.call('ZRANGE', DEAD, 0, tonumber(ARGV[1]) - 1)
