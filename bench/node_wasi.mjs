// bench/node_wasi.mjs - node's side of bench/wasm.py: runs a WASI program with node:wasi.
//
//     node --no-warnings node_wasi.mjs MODULE [ARGUMENT...]
import { readFileSync } from 'node:fs';
import { WASI } from 'node:wasi';

const wasi = new WASI({ version: 'preview1', args: process.argv.slice(2), env: {} });
const module = new WebAssembly.Module(readFileSync(process.argv[2]));
process.exitCode = wasi.start(new WebAssembly.Instance(module, wasi.getImportObject()));
