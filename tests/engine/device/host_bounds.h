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

/* With a thread for each element, or a block for each where the threads of a block work together. */
template <class Arguments>
void launch(const char *name, int64_t elements, const Arguments &arguments) {
    void *function = nullptr, *given[] = {const_cast<Arguments *>(&arguments)};
    int here = 0;
    cuCtxSetCurrent(&here);
    if (cuModuleGetFunction(&function, &here, name)) {
        __builtin_trap();
    }
    const HostKernel &kernel = *static_cast<const HostKernel *>(function);
    const unsigned threads = kernel.play ? kernel.threads : DEVICE_THREADS, each = kernel.play ? 1 : DEVICE_THREADS;
    const unsigned blocks = (unsigned)((elements + each - 1) / each);
    if ((kernel.shared_bytes && cuFuncSetAttribute(function, 8, (int)kernel.shared_bytes)) ||
        cuLaunchKernel(function, blocks, 1, 1, threads, 1, 1, kernel.shared_bytes, nullptr, given, nullptr)) {
        __builtin_trap();
    }
}
}  // namespace
