// tests/wasm/differential.mjs - node's side of tests/wasm/differential.py: what `wasm-run --skip-v128` prints, for each module named.
//
//     node differential.mjs MODULE...
//
// The modules' outputs are separated by lines `== MODULE`. The format is tools/wasm_run.c's; that file says what it means.
import { readFileSync } from 'node:fs';

const view = new DataView(new ArrayBuffer(8));
const hex = (value, digits) => value.toString(16).padStart(digits, '0');

function text(type, value) {
    switch (type) {
    case 'i32': return ` i32:${hex(value >>> 0, 8)}`;
    case 'i64': return ` i64:${hex(BigInt.asUintN(64, value), 16)}`;
    case 'f32':
        view.setFloat32(0, value);
        return Number.isNaN(value) ? ' f32:nan' : ` f32:${hex(view.getUint32(0), 8)}`;
    case 'f64':
        view.setFloat64(0, value);
        return Number.isNaN(value) ? ' f64:nan' : ` f64:${hex(view.getBigUint64(0), 16)}`;
    default: return value === null ? ` ${type}:null` : ` ${type}`;
    }
}

function name(raw) {
    let out = '';
    for (const byte of Buffer.from(raw, 'utf8')) {
        out += byte > 0x20 && byte < 0x7f && byte !== 0x25 ? String.fromCharCode(byte) : `%${hex(byte, 2)}`;
    }
    return out;
}

function trapClass(error) {
    const words = String(error.message);
    const classes = [
        ['unreachable', 'unreachable'], ['by zero', 'divide'], ['unrepresentable', 'number'], ['memory access', 'memory'],
        ['table index', 'table'], ['table access', 'table'], ['out of bounds', 'table'], ['null function', 'indirect'],
        ['Maximum call stack', 'stack'],
    ];
    for (const [part, cls] of classes) {
        if (words.includes(part)) {
            return cls;
        }
    }
    return error instanceof TypeError ? 'host' : `other(${words})`;
}

// The types of functions are not in this node's JavaScript API, so they are read from the bytes.
function signatures(bytes) {
    let at = 8;
    const u32 = () => {
        let value = 0, shift = 0, byte;
        do {
            byte = bytes[at++];
            value |= (byte & 0x7f) << shift;
            shift += 7;
        } while (byte & 0x80);
        return value >>> 0;
    };
    const typeName = { 0x7f: 'i32', 0x7e: 'i64', 0x7d: 'f32', 0x7c: 'f64', 0x7b: 'v128', 0x70: 'funcref', 0x6f: 'externref' };
    const types = [], functions = [], imports = [], exports = new Map(), globals = [];
    const string = () => { const size = u32(); const out = bytes.subarray(at, at + size).toString('utf8'); at += size; return out; };
    const list = () => Array.from({ length: u32() }, () => typeName[bytes[at++]]);
    const limits = () => { const flags = bytes[at++]; u32(); if (flags & 1) { u32(); } };
    while (at < bytes.length) {
        const id = bytes[at++], size = u32(), end = at + size;
        if (id === 1) {
            for (let n = u32(); n > 0; n--) { at++; types.push({ params: list(), results: list() }); }
        } else if (id === 2) {
            for (let n = u32(); n > 0; n--) {
                const module = string(), field = string(), kind = bytes[at++];
                if (kind === 0) { const type = types[u32()]; functions.push(type); imports.push({ module, field, type }); }
                else if (kind === 1) { at++; limits(); } else if (kind === 2) { limits(); }
                else { globals.push(typeName[bytes[at]]); at += 2; }
            }
        } else if (id === 3) {
            for (let n = u32(); n > 0; n--) { functions.push(types[u32()]); }
        } else if (id === 7) {
            for (let n = u32(); n > 0; n--) { const field = string(), kind = bytes[at++], index = u32(); exports.set(field, { kind, index }); }
        }
        at = end;
    }
    return { functions, imports, exports };
}

const zero = { i32: 0, i64: 0n, f32: 0, f64: 0, funcref: null, externref: null };
const isForeign = (type) => [...type.params, ...type.results].includes('v128');

function importObject(module, parsed, out) {
    const object = {};
    let next = 0;
    for (const item of WebAssembly.Module.imports(module)) {
        object[item.module] ??= {};
        let value;
        if (item.kind === 'function') {
            const { type } = parsed.imports[next++];
            value = (...args) => {
                out.push(`call ${name(item.name)}${args.map((arg, i) => text(type.params[i], arg)).join('')}`);
                const results = type.results.map((result) => zero[result]);
                return results.length > 1 ? results : results[0];
            };
        } else if (item.kind === 'table') { value = new WebAssembly.Table({ element: 'anyfunc', initial: 16 }); }
        else if (item.kind === 'memory') { value = new WebAssembly.Memory({ initial: 1 }); }
        else { value = new WebAssembly.Global({ value: 'i32' }, 0); }
        object[item.module][item.name] = value;
    }
    return object;
}

function checksum(memory) {
    const bytes = new Uint8Array(memory.buffer);
    let sum = 2166136261, unsignedSum = sum;
    for (let i = 0; i < bytes.length; i++) {
        const endsNan = i >= 3 && (bytes[i] & 0x7f) === 0x7f && bytes[i - 1] >= 0x80
            && ((bytes[i - 1] & 0x7f) | bytes[i - 2] | bytes[i - 3]) !== 0;
        sum = Math.imul(sum ^ bytes[i], 16777619);
        unsignedSum = Math.imul(unsignedSum ^ (endsNan ? bytes[i] & 127 : bytes[i]), 16777619);
    }
    return `${bytes.length} ${hex(unsignedSum >>> 0, 8)} ${hex(sum >>> 0, 8)}`;
}

function run(path) {
    const bytes = readFileSync(path), out = [];
    let module, instance;
    try {
        module = new WebAssembly.Module(bytes);
    } catch (error) {
        return ['invalid'];
    }
    const parsed = signatures(bytes);
    try {
        instance = new WebAssembly.Instance(module, importObject(module, parsed, out));
    } catch (error) {
        return error instanceof WebAssembly.LinkError ? ['unlinkable'] : ['trapped'];
    }
    for (const item of WebAssembly.Module.exports(module)) {
        const { kind, index } = parsed.exports.get(item.name);
        const type = parsed.functions[index];
        if (kind !== 0 || isForeign(type)) {
            continue;
        }
        let line;
        try {
            const result = instance.exports[item.name](...type.params.map((param) => zero[param]));
            const results = type.results.length > 1 ? result : type.results.length ? [result] : [];
            line = results.map((value, i) => text(type.results[i], value)).join('');
        } catch (error) {
            line = ` trap ${trapClass(error)}`;
        }
        out.push(`${name(item.name)}:${line}`);
    }
    for (const item of WebAssembly.Module.exports(module)) {
        if (item.kind === 'memory') {
            out.push(`memory ${name(item.name)}: ${checksum(instance.exports[item.name])}`);
        }
    }
    return out;
}

for (const path of process.argv.slice(2)) {
    console.log(`== ${path}`);
    for (const line of run(path)) {
        console.log(line);
    }
}
