/* wasm/compile.h - translation of function bodies: validates and translates in one pass. */
#pragma once

#include "wasm/decode.h"

/* Reads count bodies at the decoder's reader into module->functions, code and marks. */
bool bv_wasm_compile_bodies(struct bv_wasm_decoder *decoder, uint32_t count);
/* Whether an instruction can begin with this byte. */
bool bv_wasm_is_opcode(uint8_t byte);
