/* The calls of the driver that the launcher makes, for kernels that the host runs. Put behind the program and a table
 * host_kernels of what it has. */
namespace {
bool host_same(const char *a, const char *b) {
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}
}  // namespace

extern "C" {
unsigned host_launches = 0;
void *host_stream = nullptr;
void *host_context = nullptr;

int cuCtxGetCurrent(void **context) {
    *context = &host_stream;
    return 0;
}

int cuCtxSetCurrent(void *context) {
    host_context = context;
    return 0;
}

int cuModuleLoadData(void **module, const void *code) {
    *module = const_cast<void *>(code);
    return 0;
}

int cuModuleGetFunction(void **function, void *module, const char *name) {
    for (const HostKernel &known : host_kernels) {
        if (module && host_same(known.name, name)) {
            *function = const_cast<HostKernel *>(&known);
            return 0;
        }
    }
    return 500;
}

int cuGetErrorString(int, const char **text) {
    *text = "a host has no words for it";
    return 0;
}

/* Plays the blocks one after the other. Refuses what a driver would: a shape that the kernels are not made for, and a
 * thread without a context. */
int cuLaunchKernel(void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                   unsigned block_z, unsigned shared_bytes, void *stream, void **arguments, void **extra) {
    if (grid_x == 0 || grid_y != 1 || grid_z != 1 || block_x != DEVICE_THREADS || block_y != 1 || block_z != 1 ||
        shared_bytes != 0 || extra || !host_context) {
        return 1;
    }
    host_launches++;
    host_stream = stream;
    for (host_block.x = 0; host_block.x < grid_x; host_block.x++) {
        static_cast<const HostKernel *>(function)->run(arguments);
    }
    return 0;
}
}
