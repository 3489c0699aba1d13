/* Runs the kernel of engine/kernels/columns.h on arrays of exactly the size that they are said to have, for a build that
 * finds what is read or written beside them. Put behind host_columns.h and host_driver.h. */
#include "host_bounds.h"

namespace {
void run(int64_t rows, int64_t columns, int64_t block_rows, int64_t width) {
    const int64_t strips = (rows + block_rows - 1) / block_rows, across = (columns + width - 1) / width;
    const Array<float> numbers(rows * columns), outputs(rows * columns), slopes(rows * columns), sums(strips * columns);
    launch("column_sums", strips * across * DEVICE_THREADS,
           ColumnSums{numbers, outputs, slopes, sums, rows, columns, block_rows, width});
    launch("column_sums", strips * across * DEVICE_THREADS,
           ColumnSums{numbers, nullptr, nullptr, sums, rows, columns, block_rows, width});
}
}  // namespace

int main() {
    for (int64_t rows = 1; rows <= 600; rows += 37) {
        for (int64_t columns = 1; columns <= 70; columns += 3) {
            run(rows, columns, 1 + columns * 5, 1 << columns % 6);
        }
    }
    return 0;
}
