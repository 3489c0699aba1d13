/* Drawing with words and tiles, for pictures of things that have no place of their own. Host only. */
#ifndef C_ENVS_CANVAS_H
#define C_ENVS_CANVAS_H

#include "cells.h"

#define GLYPH_MIDDLE_DOT 0x00B7u

/* The grid of cells that is drawn into. What lies outside it is left out. */
typedef struct Canvas {
    EnvCell *cells;
    int32_t rows;
    int32_t columns;
} Canvas;

static inline void canvas_put(const Canvas *canvas, int32_t row, int32_t column, uint32_t glyph, uint32_t foreground,
                              uint32_t background) {
    if (row >= 0 && row < canvas->rows && column >= 0 && column < canvas->columns) {
        EnvCell cell = {glyph, foreground, background};
        canvas->cells[row * canvas->columns + column] = cell;
    }
}

/* A rectangle of one colour. */
static inline void canvas_fill(const Canvas *canvas, int32_t row, int32_t column, int32_t rows, int32_t columns,
                               uint32_t role) {
    for (int32_t r = row; r < row + rows; r++) {
        for (int32_t c = column; c < column + columns; c++) {
            canvas_put(canvas, r, c, GLYPH_UPPER_HALF, role, role);
        }
    }
}

/* The whole grid in background colour. */
static inline Canvas canvas_clear(EnvCell *cells, int32_t rows, int32_t columns) {
    Canvas canvas = {cells, rows, columns};
    canvas_fill(&canvas, 0, 0, rows, columns, CELL_BACKGROUND);
    return canvas;
}

/* ASCII text from (row, column) on. */
static inline void canvas_text(const Canvas *canvas, int32_t row, int32_t column, const char *text, uint32_t foreground,
                               uint32_t background) {
    for (int32_t i = 0; text[i]; i++) {
        canvas_put(canvas, row, column + i, (unsigned char)text[i], foreground, background);
    }
}

/* A tile of scale rows and 3 * scale columns with a glyph in its middle. */
#define CANVAS_TILE 3
static inline void canvas_tile(const Canvas *canvas, int32_t row, int32_t column, int32_t scale, uint32_t glyph,
                               uint32_t role) {
    canvas_fill(canvas, row, column, scale, CANVAS_TILE * scale, role);
    canvas_put(canvas, row + scale / 2, column + CANVAS_TILE * scale / 2, glyph,
               role == CELL_BACKGROUND || role == CELL_FLOOR ? CELL_TEXT : CELL_BACKGROUND, role);
}

/* A bar of `length` cells, `share` in [0, 1] of it filled. */
static inline void canvas_bar(const Canvas *canvas, int32_t row, int32_t column, int32_t length, float share,
                              uint32_t role) {
    const int32_t filled = (int32_t)(share * (float)length + 0.5f);
    canvas_fill(canvas, row, column, 1, length, CELL_FLOOR);
    canvas_fill(canvas, row, column, 1, filled < length ? filled : length, role);
}

#endif
