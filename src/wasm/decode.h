/* wasm/decode.h - what the files that decode a module share: the reader, the module under construction, what was declared so far. */
#pragma once

#include "wasm/module.h"
#include "wasm/reader.h"

struct bv_wasm_decoder {
    struct bv_wasm_reader reader;
    struct bv_wasm_module *module;
    uint8_t *declared;            /* a bit per function: may be named by ref.func inside bodies */
    uint32_t defined_functions;   /* of the function section */
    const uint8_t *section_end, *module_end;
    uint32_t data_count;
    bool has_data_count, has_code;
};

bool bv_wasm_decode_segment_section(struct bv_wasm_decoder *decoder, uint8_t id); /* element, data, code */
bool bv_wasm_decode_init(struct bv_wasm_decoder *decoder, uint8_t type, struct bv_wasm_init *ret_init);
bool bv_wasm_decode_reftype(struct bv_wasm_decoder *decoder, uint8_t *ret_type);
bool bv_wasm_declare_function(struct bv_wasm_decoder *decoder, uint32_t index);
static inline bool bv_wasm_is_declared(const struct bv_wasm_decoder *decoder, uint32_t index)
{
    return decoder->declared && ((decoder->declared[index / 8] >> (index % 8)) & 1);
}
static inline bool bv_wasm_is_value_type(uint8_t byte)
{
    return byte >= BV_WASM_V128 ? byte <= BV_WASM_I32 : byte == BV_WASM_FUNCREF || byte == BV_WASM_EXTERNREF;
}
static inline bool bv_wasm_is_reference(uint8_t type)
{
    return type == BV_WASM_FUNCREF || type == BV_WASM_EXTERNREF;
}
