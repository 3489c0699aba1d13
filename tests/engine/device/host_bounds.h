/* Arrays of exactly so many elements, and launches of kernels on them, for a build that finds what is read or written
 * beside them. */
namespace {
/* Zeros, with nothing of anybody's beside them. */
template <class Value>
struct Array {
    Value *values;
    explicit Array(int64_t count) : values(new Value[count]()) {}
    ~Array() { delete[] values; }
    operator Value *() const { return values; }
};

template <class Arguments>
void launch(const char *name, int64_t elements, const Arguments &arguments) {
    void *function = nullptr, *given[] = {const_cast<Arguments *>(&arguments)};
    int here = 0;
    cuCtxSetCurrent(&here);
    const unsigned blocks = (unsigned)((elements + DEVICE_THREADS - 1) / DEVICE_THREADS);
    if (cuModuleGetFunction(&function, &here, name) ||
        cuLaunchKernel(function, blocks, 1, 1, DEVICE_THREADS, 1, 1, 0, nullptr, given, nullptr)) {
        __builtin_trap();
    }
}
}  // namespace
