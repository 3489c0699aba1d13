/* Matrix products on tensor cores: a warp multiplies a tile A [16, K] of 16 rows with B [K, 8], each of whose lanes holds
 * a part of either and of the sums [16, 8]. Compute capability 8.0 or newer.
 *
 * K is 8 words: a word is one float, of which the product takes 10 bits of the mantissa (TF32), or two Bfloat16, the
 * earlier one in the lower half. With group = lane / 4 and place = lane % 4 a lane has (PTX ISA, mma.m16n8k8 and m16n8k16)
 *
 *   of A    words[0] (row group, word place)         words[1] (row group + 8, word place)
 *           words[2] (row group, word place + 4)     words[3] (row group + 8, word place + 4)
 *   of B    low (word place, column group)           high (word place + 4, column group)
 *   sums    [0] (row group, column 2 * place)        [1] (row group, column 2 * place + 1)
 *           [2] (row group + 8, column 2 * place)    [3] (row group + 8, column 2 * place + 1)
 */
#ifndef ENGINE_MMA_H
#define ENGINE_MMA_H

#include "real.h"

/* A lane's part of a tile of A, or any four words that lie together. */
struct alignas(16) Words {
    uint32_t at[4];
};

/* A host defines these: it has the instructions to make up. All lanes of a warp come to a product together, for which a
 * WARP_BARRIER behind a branch that not all of them took provides. */
#ifndef MMA
#define MMA(shape, sums, a, low, high)                                                                                 \
    asm volatile("mma.sync.aligned." shape " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"          \
                 : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])                                          \
                 : "r"(a.at[0]), "r"(a.at[1]), "r"(a.at[2]), "r"(a.at[3]), "r"(low), "r"(high))
#define ROUND_TO_TF32(word, value) asm volatile("cvt.rna.tf32.f32 %0, %1;" : "=r"(word) : "f"(value))
#endif

/* Neighbours that are loaded and stored as one. */
template <class Value, int COUNT>
struct alignas(COUNT * sizeof(Value)) Span {
    Value at[COUNT];
};

template <class Value, int COUNT>
DEVICE_FN void load(Span<Value, COUNT> &span, const Value *from) {
    span = *reinterpret_cast<const Span<Value, COUNT> *>(from);
}

template <class Value, int COUNT>
DEVICE_FN void store(Value *to, const Span<Value, COUNT> &span) {
    *reinterpret_cast<Span<Value, COUNT> *>(to) = span;
}

/* Words from the beginning to column `n` of eight that have `width` words each, a multiple of 16: so far apart that neither
 * lanes that load four words of a column nor lanes that store two meet in a bank of the block's memory. */
constexpr DEVICE_FN int column(int n, int width) { return n * (width | 16) + n / 2 * 8; }

/* Numbers as words of a product, and the product. */
template <class Real>
struct Tensor;

template <>
struct Tensor<float> {
    static constexpr int PER_WORD = 1;

    /* The word of the number at `from`. `next` is not looked at: the word holds no second one. */
    DEVICE_FN uint32_t word(const float *from, const float *) {
        uint32_t rounded;
        ROUND_TO_TF32(rounded, *from);
        return rounded;
    }

    DEVICE_FN void multiply(float (&sums)[4], const Words &a, uint32_t low, uint32_t high) {
        MMA("m16n8k8.row.col.f32.tf32.tf32.f32", sums, a, low, high);
    }
};

template <>
struct Tensor<Bfloat16> {
    static constexpr int PER_WORD = 2;

    /* The word of the numbers at `from` and at `next`. */
    DEVICE_FN uint32_t word(const Bfloat16 *from, const Bfloat16 *next) {
        return (uint32_t)from->bits | (uint32_t)next->bits << 16;
    }

    DEVICE_FN void multiply(float (&sums)[4], const Words &a, uint32_t low, uint32_t high) {
        MMA("m16n8k16.row.col.f32.bf16.bf16.f32", sums, a, low, high);
    }
};

#endif
