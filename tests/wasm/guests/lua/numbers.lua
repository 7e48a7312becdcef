-- Numbers: integers that wrap, floats to the last digit, bits, a sieve, bodies in orbit, matrices, sorting, packing.
local function show(...) print(...) end
show(math.maxinteger + 1 == math.mininteger, 7 // 2, -7 // 2, 7 % -3, -7 % 3, 7.5 // 2, -7.5 % 2, 1 / 3, 2 ^ 0.5, 10 / 2)
show(1e15, 1e16, 123456789012345678, 0x7fffffffffffffff, 0.1 + 0.2, 100000000000000.5, -0.0, 1 / 0, -1 / 0, 3 | 4, 7 & 2, 5 ~ 1, ~0, 1 << 62, 1 << 64, -1 >> 60)
show(math.floor(-2.5), math.ceil(-2.5), math.tointeger(3.0), math.type(1), math.type(1.0), math.fmod(-7, 3), math.ult(1, -1), math.abs(math.mininteger))
show(("%.14g %.17g %a"):format(math.pi, math.pi, 1.5), tonumber("0x1p4"), tonumber("  12  "), tonumber("z", 36), tonumber("1e"), 10 == 10.0, "10" + 5)
for _, f in ipairs { "sin", "cos", "tan", "exp", "log", "sqrt", "atan", "asin" } do io.write(f, " ", ("%.15g"):format(math[f](0.7)), " ") end
print()
local function sieve(n)
    local composite, primes = {}, {}
    for i = 2, n do
        if not composite[i] then
            primes[#primes + 1] = i
            for j = i * i, n, i do composite[j] = true end
        end
    end
    return primes
end
local primes = sieve(30000)
show(#primes, primes[#primes], primes[1000])
local bodies = { { 0, 0, 0, 0, 0, 0, 39.47 }, { 4.84, -1.16, -0.10, 0.60, 2.81, -0.02, 0.037 }, { 8.34, 4.12, -0.40, -1.01, 1.82, 0.008, 0.011 } }
local function step(dt)
    for i = 1, #bodies do
        local a = bodies[i]
        for j = i + 1, #bodies do
            local b = bodies[j]
            local dx, dy, dz = a[1] - b[1], a[2] - b[2], a[3] - b[3]
            local d2 = dx * dx + dy * dy + dz * dz
            local m = dt / (d2 * math.sqrt(d2))
            for k, d in ipairs { dx, dy, dz } do
                a[3 + k] = a[3 + k] - d * b[7] * m
                b[3 + k] = b[3 + k] + d * a[7] * m
            end
        end
    end
    for _, a in ipairs(bodies) do for k = 1, 3 do a[k] = a[k] + dt * a[3 + k] end end
end
for _ = 1, 3000 do step(0.01) end
for _, a in ipairs(bodies) do show(("%.17g %.17g %.17g"):format(a[1], a[2], a[3])) end
local function matrix(n, f) local m = {} for i = 1, n do m[i] = {} for j = 1, n do m[i][j] = f(i, j) end end return m end
local function multiply(a, b)
    return matrix(#a, function(i, j) local s = 0 for k = 1, #a do s = s + a[i][k] * b[k][j] end return s end)
end
local hilbert = matrix(30, function(i, j) return 1 / (i + j - 1) end)
local product = multiply(hilbert, hilbert)
show(product[1][1], product[30][30], product[7][19])
local seed = 12345
local function random() seed = (seed * 1103515245 + 12345) & 0x7fffffff return seed end
local list = {}
for i = 1, 4000 do list[i] = random() end
table.sort(list)
show(list[1], list[2000], list[4000])
local packed = string.pack("<i4 >I2 z s1 d", -5, 1000, "zero", "one", 2.5)
show(#packed, string.unpack("<i4 >I2 z s1 d", packed))
local hash = 2166136261
for i = 1, 20000 do hash = ((hash ~ (i & 255)) * 16777619) & 0xffffffff end
show(hash)
local function ack(m, n) if m == 0 then return n + 1 elseif n == 0 then return ack(m - 1, 1) end return ack(m - 1, ack(m, n - 1)) end
show(ack(2, 200))
