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

/* The bytes of a block's memory that this device has, and those that each kernel was granted of them. */
unsigned host_shared_limit = 232448, host_granted[sizeof host_kernels / sizeof *host_kernels];

int cuFuncSetAttribute(void *function, int attribute, int value) {
    if (!function || attribute != 8 || value < 0 || (unsigned)value > host_shared_limit) {
        return 1;
    }
    host_granted[static_cast<const HostKernel *>(function) - host_kernels] = (unsigned)value;
    return 0;
}

/* Plays the blocks one after the other. Refuses what a driver would: a shape that the kernels are not made for, memory that
 * was not granted, and a thread without a context. */
int cuLaunchKernel(void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                   unsigned block_z, unsigned shared_bytes, void *stream, void **arguments, void **extra) {
    const HostKernel &kernel = *static_cast<const HostKernel *>(function);
    const unsigned threads = kernel.play ? kernel.threads : DEVICE_THREADS, granted = host_granted[&kernel - host_kernels];
    if (grid_x == 0 || grid_y != 1 || grid_z != 1 || block_x != threads || block_y != 1 || block_z != 1 ||
        shared_bytes != kernel.shared_bytes || shared_bytes > granted || extra || !host_context) {
        return 1;
    }
    host_launches++;
    host_stream = stream;
    for (host_block.x = 0; host_block.x < grid_x; host_block.x++) {
        if (kernel.play) {
            kernel.play(kernel.run, arguments, block_x, shared_bytes);
        } else {
            kernel.run(arguments);
        }
    }
    return 0;
}
}
