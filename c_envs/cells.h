/* Pictures: a grid of character cells, each a glyph and the roles of its two colours. Host only. */
#ifndef C_ENVS_CELLS_H
#define C_ENVS_CELLS_H

#include "env.h"

/* The colour roles, in the order of their numbers. Front ends choose the colours. */
#define CELL_ROLES(ROLE)                                                                                                  \
    ROLE(BACKGROUND, "background")                                                                                        \
    ROLE(WALL, "wall")                                                                                                    \
    ROLE(TEXT, "text")                                                                                                    \
    ROLE(PADDLE, "paddle")                                                                                                \
    ROLE(BALL, "ball")                                                                                                    \
    ROLE(BRICK1, "brick1")                                                                                                \
    ROLE(BRICK2, "brick2")                                                                                                \
    ROLE(BRICK3, "brick3")                                                                                                \
    ROLE(BRICK4, "brick4")                                                                                                \
    ROLE(BRICK5, "brick5")                                                                                                \
    ROLE(BRICK6, "brick6")                                                                                                \
    ROLE(AGENT, "agent")                                                                                                  \
    ROLE(GOAL, "goal")                                                                                                    \
    ROLE(FLOOR, "floor")                                                                                                  \
    ROLE(SEEN, "seen")

#define CELL_ROLE_NUMBER(id, name) CELL_##id,
enum { CELL_ROLES(CELL_ROLE_NUMBER) CELL_ROLE_COUNT };
#undef CELL_ROLE_NUMBER

#define GLYPH_SPACE 0x20u
#define GLYPH_UPPER_HALF 0x2580u /* foreground colours the upper half of the character, background the lower */
#define GLYPH_NORTH 0x25B2u
#define GLYPH_EAST 0x25BAu
#define GLYPH_SOUTH 0x25BCu
#define GLYPH_WEST 0x25C4u

typedef struct EnvCell {
    uint32_t glyph;      /* code point */
    uint32_t foreground; /* role number */
    uint32_t background; /* role number */
} EnvCell;

/* A character that shows two pixels, one above the other. */
static inline EnvCell cell_pixels(uint32_t upper, uint32_t lower) {
    EnvCell cell = {GLYPH_UPPER_HALF, upper, lower};
    return cell;
}

#endif
