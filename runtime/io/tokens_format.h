/*
 * Private to tokens*.c: llm.c's token files (its dataloader.h), little-endian.
 * 256 int32 of header: magic, version, number of tokens, zeros; then tokens,
 * uint16 or, with the second magic, uint32.
 */
#ifndef WEFT_IO_TOKENS_FORMAT_H
#define WEFT_IO_TOKENS_FORMAT_H

enum {
    LLMC_HEADER_BYTES = 1024,
    LLMC_MAGIC = 20240520,
    LLMC_VERSION = 1,
    LLMC32_MAGIC = 20240801,
    LLMC32_VERSION = 7
};

#endif
