/*
 * Small files of lines that notice when they are damaged: a header that names the kind and version,
 * lines, and a line with the checksum of all before it.
 *
 *   portolan creations 1
 *   next 1795412134
 *   sum 3e939e710517ce41
 */
#ifndef PORTOLAN_BASE_CHECKSUMMED_TEXT_H
#define PORTOLAN_BASE_CHECKSUMMED_TEXT_H

#include "base/bytes.h"

/* What the header and the sum line cost, for who works out a buffer's size. */
#define CHECKSUMMED_TEXT_OVERHEAD 128

/* Writes the header; what it returns is for checksummed_text_end, which writes the sum line. */
size_t checksummed_text_begin(struct writer *writer, const char *header);
void checksummed_text_end(struct writer *writer, size_t begin);

/* Writes the sum line of a text that was written in pieces: `sum` is that of all of it. */
void checksummed_text_end_sum(struct writer *writer, uint64_t sum);

/* Checks header and sum, and gives the lines between them. False: not this kind, or damaged. */
bool checksummed_text_open(struct bytes text, const char *header, struct reader *lines);

/* Takes the next line, NUL-terminated and without its end. False: none is left, or it is longer
 * than fits. */
bool checksummed_text_line(struct reader *lines, char *line, size_t size);

#endif
