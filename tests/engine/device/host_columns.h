/* The kernel of engine/kernels/columns.h for the driver of host_driver.h. */
namespace {
const HostKernel host_kernels[] = {
    {"column_sums", [](void **given) { column_sums(host_argument<ColumnSums>(given, 0)); }},
};
}  // namespace
