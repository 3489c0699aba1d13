/* The Python face of the batches: checks everything that comes in, holds what it points into, lets other threads run. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "batch.h"

#define TEXT 256
#define THREADS_MAX 256 /* of a batch, its own or its callers' */
#define BUFFERS 7

/* ---- Arguments ---------------------------------------------------------------------------------------------------- */

/* The environment called `name`; NULL and ValueError when there is none. */
static const EnvEntry *find_entry(const char *name) {
    const EnvEntry *entry = env_find(name);
    if (!entry) {
        PyErr_Format(PyExc_ValueError, "there is no environment called %s", name);
    }
    return entry;
}

/* A new array of the settings' values out of a tuple of floats, checked; NULL and ValueError otherwise. PyMem_Free it. */
static double *read_settings(const EnvEntry *entry, PyObject *values) {
    char text[TEXT];
    if (PyTuple_Size(values) != entry->setting_count) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "%s has %d settings", entry->name, (int)entry->setting_count);
        return NULL;
    }
    double *settings = PyMem_Malloc(((size_t)entry->setting_count + 1) * sizeof(double));
    if (!settings) {
        PyErr_NoMemory();
        return NULL;
    }
    for (int32_t i = 0; i < entry->setting_count; i++) {
        /* + 0.0 makes minus zero the zero that equal settings must hash alike with. */
        settings[i] = PyFloat_AsDouble(PyTuple_GetItem(values, i)) + 0.0;
    }
    if (!PyErr_Occurred() && env_check(entry, settings, text, sizeof(text))) {
        return settings;
    }
    if (!PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, text);
    }
    PyMem_Free(settings);
    return NULL;
}

/* A range check for counts; 0 and ValueError when v lies outside. */
static int in_range(const char *name, Py_ssize_t v, Py_ssize_t low, Py_ssize_t high) {
    if (v >= low && v <= high) {
        return 1;
    }
    PyErr_Format(PyExc_ValueError, "%s is %zd; it must be from %zd to %zd", name, v, low, high);
    return 0;
}

/* Whether `slots` slots of such a batch have a size that memory could hold at all. */
static int sizes_fit(int64_t environments, int64_t agents, int64_t slots, int64_t floats) {
    const double bytes = (double)environments * (double)agents * ((double)slots + 1.0) * ((double)floats + 16.0) * 4.0;
    if (bytes < 1e15) {
        return 1;
    }
    PyErr_SetString(PyExc_ValueError, "environments times slots is too large");
    return 0;
}

/* ---- Batch -------------------------------------------------------------------------------------------------------- */

/* What a bound buffer must look like. Formats are the struct module's letters. */
typedef struct BufferRule {
    const char *name;
    const char *formats;
    size_t item_bytes;
    int written;
} BufferRule;

enum { OBSERVATIONS, ACTIONS, REWARDS, TERMINALS, TRUNCATIONS, MASKS, FINAL_OBSERVATIONS };

static const BufferRule buffer_rules[BUFFERS] = {
    {"observations", "f", sizeof(float), 1},
    {"actions", "il", sizeof(int32_t), 0},
    {"rewards", "f", sizeof(float), 1},
    {"terminals", "B?", sizeof(uint8_t), 1},
    {"truncations", "B?", sizeof(uint8_t), 1},
    {"masks", "B?", sizeof(uint8_t), 1},
    {"final_observations", "f", sizeof(float), 1},
};

/* Environments first .. stop-1. */
typedef struct {
    Py_ssize_t first, stop;
} Range;

typedef struct {
    PyObject_HEAD
    Batch *batch;              /* NULL once closed */
    Py_buffer views[BUFFERS];  /* held while bound */
    int bound;
    pid_t owner;               /* process that started the threads */
    atomic_int busy;           /* a call is under way; other threads are turned away */
    Range ranges[THREADS_MAX]; /* environments that steps under way own; touched with the interpreter's lock held */
    int range_count;
    int pooled;                /* threads of the batch's own play the ranges */
} BatchObject;

/* Takes the batch for this call, beside steps under way in other threads; 0 and an exception when it is closed, forked
 * away or in another thread's hands. */
static int batch_enter_beside(BatchObject *self) {
    int idle = 0;
    if (!atomic_compare_exchange_strong(&self->busy, &idle, 1)) {
        PyErr_SetString(PyExc_RuntimeError, "another thread is using this batch; one call at a time");
        return 0;
    }
    if (!self->batch) {
        PyErr_SetString(PyExc_ValueError, "the batch is closed");
    } else if (self->owner != getpid()) {
        PyErr_SetString(PyExc_RuntimeError, "a batch does not survive a fork; make a new one in the child process");
    } else {
        return 1;
    }
    atomic_store(&self->busy, 0);
    return 0;
}

static void batch_leave(BatchObject *self) { atomic_store(&self->busy, 0); }

/* Takes the batch for this call alone; 0 and an exception when that cannot be. */
static int batch_enter(BatchObject *self) {
    if (self->range_count) {
        PyErr_SetString(PyExc_RuntimeError, "another thread is stepping this batch; only steps run side by side");
        return 0;
    }
    return batch_enter_beside(self);
}

/* Whether no step under way owns an environment of first .. stop-1; an exception otherwise. */
static int batch_free_range(const BatchObject *self, Py_ssize_t first, Py_ssize_t stop) {
    for (int index = 0; index < self->range_count; index++) {
        if (first < self->ranges[index].stop && self->ranges[index].first < stop) {
            PyErr_SetString(PyExc_RuntimeError, "another thread is stepping these environments of the batch");
            return 0;
        }
    }
    return 1;
}

static void batch_unshare(BatchObject *self, Py_ssize_t first, Py_ssize_t stop) {
    for (int index = 0; index < self->range_count; index++) {
        if (self->ranges[index].first == first && self->ranges[index].stop == stop) {
            self->ranges[index] = self->ranges[--self->range_count];
            return;
        }
    }
}

static void release_views(BatchObject *self) {
    if (self->bound) {
        self->bound = 0;
        for (int i = 0; i < BUFFERS; i++) {
            PyBuffer_Release(&self->views[i]);
        }
    }
}

static void end_batch(BatchObject *self) {
    Batch *batch = self->batch;
    self->batch = NULL;
    if (batch && self->owner != getpid()) {
        pool_abandon(batch->pool);
        batch->pool = NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    batch_destroy(batch);
    Py_END_ALLOW_THREADS
    release_views(self);
}

static PyObject *batch_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"name", "settings", "environments", "seed", "threads", "slots", NULL};
    const char *name;
    PyObject *values, *seed_object;
    Py_ssize_t environments, threads, slots;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "sO!nO!nn", names, &name, &PyTuple_Type, &values, &environments,
                                     &PyLong_Type, &seed_object, &threads, &slots)) {
        return NULL;
    }
    const EnvEntry *entry = find_entry(name);
    const uint64_t seed = entry ? PyLong_AsUnsignedLongLong(seed_object) : 0;
    if (!entry || PyErr_Occurred() || !in_range("environments", environments, 1, (Py_ssize_t)1 << 31) ||
        !in_range("threads", threads, 1, THREADS_MAX) || !in_range("slots", slots, 1, (Py_ssize_t)1 << 31) ||
        !sizes_fit(environments, 1, slots, 1)) {
        return NULL;
    }
    double *settings = read_settings(entry, values);
    if (!settings) {
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    BatchObject *self = (BatchObject *)allocate(type, 0);
    if (self) {
        self->owner = getpid();
        Py_BEGIN_ALLOW_THREADS
        self->batch = batch_create(entry, settings, environments, slots, seed, (int)threads);
        Py_END_ALLOW_THREADS
        self->pooled = threads > 1;
        if (!self->batch) {
            Py_DECREF(self);
            self = NULL;
            PyErr_Format(PyExc_MemoryError, "no memory or threads for %zd environments on %zd threads", environments,
                         threads);
        } else if (!sizes_fit(environments, self->batch->spec.agents, slots, self->batch->spec.observation_size)) {
            Py_DECREF(self);
            self = NULL;
        }
    }
    PyMem_Free(settings);
    return (PyObject *)self;
}

static int batch_traverse(PyObject *object, visitproc visit, void *arg) {
    BatchObject *self = (BatchObject *)object;
    Py_VISIT(Py_TYPE(object));
    if (self->bound) {
        for (int i = 0; i < BUFFERS; i++) {
            Py_VISIT(self->views[i].obj);
        }
    }
    return 0;
}

static int batch_clear(PyObject *object) {
    release_views((BatchObject *)object);
    return 0;
}

static void batch_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    end_batch((BatchObject *)object);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

/* Whether a view's items are of one of the formats, in the machine's byte order. */
static int format_fits(const Py_buffer *view, const char *formats, size_t item_bytes) {
    const char *format = view->format ? view->format : "B";
    if (*format == '@' || *format == '=' || (*format == '<' && PY_LITTLE_ENDIAN)) {
        format++;
    }
    return format[0] != '\0' && format[1] == '\0' && strchr(formats, format[0]) && (size_t)view->itemsize == item_bytes;
}

/* 0 and an exception unless the view has this shape; a flat view of as many items will do. */
static int shape_fits(const Py_buffer *view, const BufferRule *rule, const int64_t *shape, int dimensions) {
    int64_t items = 1;
    int same = view->ndim == dimensions;
    for (int i = 0; i < dimensions; i++) {
        items *= shape[i];
        same = same && view->shape[i] == shape[i];
    }
    if (same || (view->ndim == 1 && view->shape[0] == items)) {
        return 1;
    }
    if (dimensions == 2) {
        PyErr_Format(PyExc_ValueError, "%s must have the shape [%lld, %lld]", rule->name, (long long)shape[0],
                     (long long)shape[1]);
    } else {
        PyErr_Format(PyExc_ValueError, "%s must have the shape [%lld, %lld, %lld]", rule->name, (long long)shape[0],
                     (long long)shape[1], (long long)shape[2]);
    }
    return 0;
}

/* Takes hold of one buffer; 0 and an exception when it will not do, and then nothing is held. */
static int take_view(PyObject *object, const BufferRule *rule, const int64_t *shape, int dimensions, Py_buffer *view) {
    const int flags = PyBUF_FORMAT | PyBUF_C_CONTIGUOUS | (rule->written ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(object, view, flags) != 0) {
        PyErr_Format(PyExc_ValueError, "%s must be a C-contiguous%s buffer of %s", rule->name,
                     rule->written ? ", writable" : "", rule->formats[0] == 'B' ? "uint8" : rule->formats[0] == 'f' ? "float32" : "int32");
        return 0;
    }
    if (!format_fits(view, rule->formats, rule->item_bytes)) {
        PyErr_Format(PyExc_ValueError, "%s must hold %s, not items of format %s", rule->name,
                     rule->formats[0] == 'B' ? "uint8" : rule->formats[0] == 'f' ? "float32" : "int32",
                     view->format ? view->format : "B");
    } else if ((uintptr_t)view->buf % rule->item_bytes != 0) {
        PyErr_Format(PyExc_ValueError, "%s is not aligned to its items", rule->name);
    } else if (shape_fits(view, rule, shape, dimensions)) {
        return 1;
    }
    PyBuffer_Release(view);
    return 0;
}

/* 0 and ValueError when two of the views share memory. */
static int views_apart(const Py_buffer *views) {
    for (int i = 0; i < BUFFERS; i++) {
        for (int k = 0; k < i; k++) {
            const char *a = views[i].buf, *b = views[k].buf;
            if (a < b + views[k].len && b < a + views[i].len) {
                PyErr_Format(PyExc_ValueError, "%s and %s share memory", buffer_rules[k].name, buffer_rules[i].name);
                return 0;
            }
        }
    }
    return 1;
}

static void use_views(BatchObject *self, Py_buffer *views) {
    release_views(self);
    memcpy(self->views, views, sizeof(self->views));
    self->bound = 1;
    EnvBuffers *buffers = &self->batch->buffers;
    buffers->observations = views[OBSERVATIONS].buf;
    buffers->actions = views[ACTIONS].buf;
    buffers->rewards = views[REWARDS].buf;
    buffers->terminals = views[TERMINALS].buf;
    buffers->truncations = views[TRUNCATIONS].buf;
    buffers->masks = views[MASKS].buf;
    buffers->final_observations = views[FINAL_OBSERVATIONS].buf;
}

static PyObject *batch_bind(PyObject *object, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"observations", "actions", "rewards", "terminals", "truncations", "masks",
                            "final_observations", NULL};
    BatchObject *self = (BatchObject *)object;
    PyObject *given[BUFFERS];
    Py_buffer views[BUFFERS];
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOOOO", names, &given[0], &given[1], &given[2], &given[3],
                                     &given[4], &given[5], &given[6]) ||
        !batch_enter(self)) {
        return NULL;
    }
    const Batch *batch = self->batch;
    const int64_t slots = batch->slots, rows = batch->rows, floats = batch->spec.observation_size;
    const int64_t all[3] = {slots + 1, rows, floats}, each[2] = {slots, rows}, last[2] = {rows, floats};
    int taken = 0;
    for (; taken < BUFFERS; taken++) {
        BufferRule rule = buffer_rules[taken];
        if (taken == ACTIONS && batch->spec.continuous) {
            rule.formats = "f";
        }
        const int64_t *shape = taken == OBSERVATIONS ? all : taken == FINAL_OBSERVATIONS ? last : each;
        if (!take_view(given[taken], &rule, shape, taken == OBSERVATIONS ? 3 : 2, &views[taken])) {
            break;
        }
    }
    const int good = taken == BUFFERS && views_apart(views);
    if (good) {
        use_views(self, views);
    } else {
        while (taken > 0) {
            PyBuffer_Release(&views[--taken]);
        }
    }
    batch_leave(self);
    return good ? Py_NewRef(Py_None) : NULL;
}

/* Takes the batch for a call that reads or writes the buffers. */
static int batch_is_bound(const BatchObject *self) {
    if (!self->bound) {
        PyErr_SetString(PyExc_RuntimeError, "the batch has no buffers yet; call bind first");
    }
    return self->bound;
}

static int batch_enter_bound(BatchObject *self) {
    if (!batch_enter(self)) {
        return 0;
    }
    if (!batch_is_bound(self)) {
        batch_leave(self);
        return 0;
    }
    return 1;
}

static PyObject *batch_reset_method(PyObject *object, PyObject *args) {
    BatchObject *self = (BatchObject *)object;
    unsigned long long seed;
    if (!PyArg_ParseTuple(args, "K", &seed) || !batch_enter_bound(self)) {
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS
    batch_reset(self->batch, (uint64_t)seed);
    Py_END_ALLOW_THREADS
    batch_leave(self);
    Py_RETURN_NONE;
}

/* step(slot, first, count): count < 0 means all from first on. */
static PyObject *batch_step_method(PyObject *object, PyObject *args) {
    BatchObject *self = (BatchObject *)object;
    Py_ssize_t slot, first, count;
    /* The pool serves one call at a time; without one, callers may bring threads of their own. */
    if (!PyArg_ParseTuple(args, "nnn", &slot, &first, &count) ||
        !(self->pooled ? batch_enter(self) : batch_enter_beside(self))) {
        return NULL;
    }
    const Py_ssize_t environments = (Py_ssize_t)self->batch->environments;
    const int good = batch_is_bound(self) && in_range("t", slot, 0, (Py_ssize_t)self->batch->slots - 1) &&
                     in_range("first", first, 0, environments - 1) &&
                     (count < 0 || in_range("count", count, 0, environments - first));
    const Py_ssize_t stop = count < 0 ? environments : first + count;
    if (!good || !batch_free_range(self, first, stop)) {
        batch_leave(self);
        return NULL;
    }
    if (self->range_count == THREADS_MAX) {
        batch_leave(self);
        PyErr_Format(PyExc_RuntimeError, "more than %d threads are stepping this batch", THREADS_MAX);
        return NULL;
    }
    self->ranges[self->range_count++] = (Range){first, stop};
    batch_leave(self);
    Py_BEGIN_ALLOW_THREADS
    batch_step(self->batch, slot, first, stop - first);
    Py_END_ALLOW_THREADS
    batch_unshare(self, first, stop);
    Py_RETURN_NONE;
}

static PyObject *batch_observe_method(PyObject *object, PyObject *args) {
    BatchObject *self = (BatchObject *)object;
    Py_ssize_t slot;
    if (!PyArg_ParseTuple(args, "n", &slot) || !batch_enter_bound(self)) {
        return NULL;
    }
    const int good = in_range("slot", slot, 0, (Py_ssize_t)self->batch->slots);
    if (good) {
        Py_BEGIN_ALLOW_THREADS
        batch_observe(self->batch, slot);
        Py_END_ALLOW_THREADS
    }
    batch_leave(self);
    return good ? Py_NewRef(Py_None) : NULL;
}

static PyObject *batch_statistics_method(PyObject *object, PyObject *args) {
    BatchObject *self = (BatchObject *)object;
    Py_ssize_t first, count;
    if (!PyArg_ParseTuple(args, "nn", &first, &count) || !batch_enter(self)) {
        return NULL;
    }
    const Py_ssize_t environments = (Py_ssize_t)self->batch->environments;
    if (!in_range("first", first, 0, environments - 1) ||
        !(count < 0 || in_range("count", count, 0, environments - first))) {
        batch_leave(self);
        return NULL;
    }
    const BatchStatistics sums = batch_statistics(self->batch, first, count < 0 ? environments - first : count);
    batch_leave(self);
    return Py_BuildValue("(Lddd)", (long long)sums.episodes, sums.score, sums.total_reward, sums.steps);
}

static PyObject *batch_state_method(PyObject *object, PyObject *args) {
    BatchObject *self = (BatchObject *)object;
    PyObject *bytes = NULL;
    Py_ssize_t i;
    if (!PyArg_ParseTuple(args, "n", &i) || !batch_enter_beside(self)) {
        return NULL;
    }
    if (in_range("environment", i, 0, (Py_ssize_t)self->batch->environments - 1) && batch_free_range(self, i, i + 1)) {
        bytes = PyBytes_FromStringAndSize(batch_state(self->batch, i), self->batch->spec.state_bytes);
    }
    batch_leave(self);
    return bytes;
}

static PyObject *batch_states_method(PyObject *object, PyObject *unused) {
    BatchObject *self = (BatchObject *)object;
    (void)unused;
    if (!batch_enter(self)) {
        return NULL;
    }
    const Py_ssize_t bytes = (Py_ssize_t)self->batch->environments * self->batch->spec.state_bytes;
    PyObject *all = PyBytes_FromStringAndSize(batch_state(self->batch, 0), bytes);
    batch_leave(self);
    return all;
}

/* 0 and ValueError unless that many bytes are a state's. */
static int state_length_fits(Py_ssize_t length, const EnvSpec *spec) {
    if (length == spec->state_bytes) {
        return 1;
    }
    PyErr_Format(PyExc_ValueError, "a state has %d bytes, not %zd", (int)spec->state_bytes, length);
    return 0;
}

static PyObject *batch_set_state_method(PyObject *object, PyObject *args) {
    BatchObject *self = (BatchObject *)object;
    Py_ssize_t i, length;
    const char *bytes;
    int good = 0;
    if (!PyArg_ParseTuple(args, "ny#", &i, &bytes, &length) || !batch_enter(self)) {
        return NULL;
    }
    if (in_range("environment", i, 0, (Py_ssize_t)self->batch->environments - 1) &&
        state_length_fits(length, &self->batch->spec)) {
        good = batch_set_state(self->batch, i, (const unsigned char *)bytes);
        if (!good) {
            PyErr_Format(PyExc_ValueError, "the bytes are not a state that %s can be in", self->batch->entry->name);
        }
    }
    batch_leave(self);
    return good ? Py_NewRef(Py_None) : NULL;
}

static PyObject *batch_save_method(PyObject *object, PyObject *unused) {
    BatchObject *self = (BatchObject *)object;
    (void)unused;
    if (!batch_enter(self)) {
        return NULL;
    }
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)batch_saved_bytes(self->batch));
    if (bytes) {
        batch_save(self->batch, (unsigned char *)PyBytes_AsString(bytes));
    }
    batch_leave(self);
    return bytes;
}

static PyObject *batch_load_method(PyObject *object, PyObject *args) {
    BatchObject *self = (BatchObject *)object;
    const char *bytes;
    Py_ssize_t length;
    char text[TEXT];
    if (!PyArg_ParseTuple(args, "y#", &bytes, &length) || !batch_enter(self)) {
        return NULL;
    }
    const int good = batch_load(self->batch, (const unsigned char *)bytes, (size_t)length, text, sizeof(text));
    if (!good) {
        PyErr_SetString(PyExc_ValueError, text);
    }
    batch_leave(self);
    return good ? Py_NewRef(Py_None) : NULL;
}

/* assign(sums, states): what batch_save has of all environments, taken over from a copy of the batch elsewhere. */
static PyObject *batch_assign_method(PyObject *object, PyObject *args) {
    BatchObject *self = (BatchObject *)object;
    const char *sums, *states;
    Py_ssize_t sums_length, states_length;
    int good = 0;
    if (!PyArg_ParseTuple(args, "y#y#", &sums, &sums_length, &states, &states_length) || !batch_enter(self)) {
        return NULL;
    }
    const Py_ssize_t environments = (Py_ssize_t)self->batch->environments;
    if (sums_length != environments * (Py_ssize_t)sizeof(EnvSums) ||
        states_length != environments * self->batch->spec.state_bytes) {
        PyErr_Format(PyExc_ValueError, "%zd environments have %zd bytes of sums and %zd of states, not %zd and %zd",
                     environments, environments * (Py_ssize_t)sizeof(EnvSums),
                     environments * self->batch->spec.state_bytes, sums_length, states_length);
    } else {
        const int64_t impossible =
            batch_assign(self->batch, (const unsigned char *)sums, (const unsigned char *)states);
        good = impossible == BATCH_ASSIGNED;
        if (impossible == BATCH_NO_MEMORY) {
            PyErr_NoMemory();
        } else if (!good) {
            PyErr_Format(PyExc_ValueError, "the state of environment %lld is none that %s can be in",
                         (long long)impossible, self->batch->entry->name);
        }
    }
    batch_leave(self);
    return good ? Py_NewRef(Py_None) : NULL;
}

static PyObject *batch_constants_method(PyObject *object, PyObject *unused) {
    BatchObject *self = (BatchObject *)object;
    (void)unused;
    if (!batch_enter(self)) {
        return NULL;
    }
    PyObject *bytes = PyBytes_FromStringAndSize(self->batch->config, (Py_ssize_t)self->batch->config_bytes);
    batch_leave(self);
    return bytes;
}

static PyObject *batch_close_method(PyObject *object, PyObject *unused) {
    BatchObject *self = (BatchObject *)object;
    int idle = 0;
    (void)unused;
    if (self->range_count || !atomic_compare_exchange_strong(&self->busy, &idle, 1)) {
        PyErr_SetString(PyExc_RuntimeError, "another thread is using this batch; it cannot be closed now");
        return NULL;
    }
    end_batch(self);
    batch_leave(self);
    Py_RETURN_NONE;
}

static PyMethodDef batch_methods[] = {
    {"bind", (PyCFunction)(void (*)(void))batch_bind, METH_VARARGS | METH_KEYWORDS, NULL},
    {"reset", batch_reset_method, METH_VARARGS, NULL},
    {"step", batch_step_method, METH_VARARGS, NULL},
    {"observe", batch_observe_method, METH_VARARGS, NULL},
    {"statistics", batch_statistics_method, METH_VARARGS, NULL},
    {"state", batch_state_method, METH_VARARGS, NULL},
    {"states", batch_states_method, METH_NOARGS, NULL},
    {"set_state", batch_set_state_method, METH_VARARGS, NULL},
    {"save", batch_save_method, METH_NOARGS, NULL},
    {"load", batch_load_method, METH_VARARGS, NULL},
    {"assign", batch_assign_method, METH_VARARGS, NULL},
    {"constants", batch_constants_method, METH_NOARGS, NULL},
    {"close", batch_close_method, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot batch_slots[] = {
    {Py_tp_new, batch_new},           {Py_tp_dealloc, batch_dealloc}, {Py_tp_traverse, batch_traverse},
    {Py_tp_clear, batch_clear},       {Py_tp_methods, batch_methods},
    {Py_tp_doc, "Environments of one kind, played together into bound buffers."},
    {0, NULL},
};

static PyType_Spec batch_spec = {
    .name = "c_envs._native.Batch",
    .basicsize = sizeof(BatchObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = batch_slots,
};

/* ---- Renderer ----------------------------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    const EnvEntry *entry;
    void *config;
    EnvSpec spec;
} RendererObject;

static PyObject *renderer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"name", "settings", "seed", NULL};
    const char *name;
    PyObject *values, *seed_object;
    size_t bytes;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "sO!O!", names, &name, &PyTuple_Type, &values, &PyLong_Type,
                                     &seed_object)) {
        return NULL;
    }
    const EnvEntry *entry = find_entry(name);
    const uint64_t seed = entry ? PyLong_AsUnsignedLongLong(seed_object) : 0;
    double *settings = entry && !PyErr_Occurred() ? read_settings(entry, values) : NULL;
    if (!settings) {
        return NULL;
    }
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    RendererObject *self = (RendererObject *)allocate(type, 0);
    if (self) {
        self->entry = entry;
        Py_BEGIN_ALLOW_THREADS
        self->config = env_make_config(entry, settings, seed, &bytes);
        Py_END_ALLOW_THREADS
        if (self->config) {
            entry->spec(settings, &self->spec);
        } else {
            Py_DECREF(self);
            self = NULL;
            PyErr_NoMemory();
        }
    }
    PyMem_Free(settings);
    return (PyObject *)self;
}

static void renderer_dealloc(PyObject *object) {
    PyTypeObject *type = Py_TYPE(object);
    env_free_config(((RendererObject *)object)->config);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(object);
    Py_DECREF(type);
}

/* A copy of a state in memory fit for its struct; NULL and an exception unless it is one. PyMem_Free it. */
static void *read_state(const RendererObject *self, const char *bytes, Py_ssize_t length) {
    if (!state_length_fits(length, &self->spec)) {
        return NULL;
    }
    void *state = PyMem_Malloc((size_t)length);
    if (!state) {
        PyErr_NoMemory();
        return NULL;
    }
    memcpy(state, bytes, (size_t)length);
    if (!self->entry->valid(self->config, state)) {
        PyMem_Free(state);
        PyErr_Format(PyExc_ValueError, "the bytes are not a state that %s can be in", self->entry->name);
        return NULL;
    }
    return state;
}

static PyObject *renderer_size(PyObject *object, PyObject *args) {
    RendererObject *self = (RendererObject *)object;
    Py_ssize_t scale;
    int32_t rows, columns;
    if (!PyArg_ParseTuple(args, "n", &scale) || !in_range("scale", scale, 1, self->spec.render_scales)) {
        return NULL;
    }
    self->entry->render_size(self->config, (int32_t)scale, &rows, &columns);
    return Py_BuildValue("(ii)", (int)rows, (int)columns);
}

/* render(state, scale): the cells as bytes, three unsigned 32-bit numbers each. */
static PyObject *renderer_render(PyObject *object, PyObject *args) {
    RendererObject *self = (RendererObject *)object;
    const char *bytes;
    Py_ssize_t length, scale;
    int32_t rows, columns;
    if (!PyArg_ParseTuple(args, "y#n", &bytes, &length, &scale) ||
        !in_range("scale", scale, 1, self->spec.render_scales)) {
        return NULL;
    }
    void *state = read_state(self, bytes, length);
    if (!state) {
        return NULL;
    }
    self->entry->render_size(self->config, (int32_t)scale, &rows, &columns);
    const size_t count = (size_t)rows * (size_t)columns;
    EnvCell *cells = PyMem_Malloc(count * sizeof(EnvCell));
    PyObject *picture = NULL;
    if (cells) {
        self->entry->render(self->config, state, (int32_t)scale, cells);
        picture = PyBytes_FromStringAndSize((const char *)cells, (Py_ssize_t)(count * sizeof(EnvCell)));
        PyMem_Free(cells);
    } else {
        PyErr_NoMemory();
    }
    PyMem_Free(state);
    return picture;
}

static PyObject *renderer_caption(PyObject *object, PyObject *args) {
    RendererObject *self = (RendererObject *)object;
    const char *bytes;
    Py_ssize_t length;
    char text[TEXT] = "";
    if (!PyArg_ParseTuple(args, "y#", &bytes, &length)) {
        return NULL;
    }
    void *state = read_state(self, bytes, length);
    if (!state) {
        return NULL;
    }
    self->entry->caption(self->config, state, text, sizeof(text));
    PyMem_Free(state);
    return PyUnicode_FromString(text);
}

static PyMethodDef renderer_methods[] = {
    {"size", renderer_size, METH_VARARGS, NULL},
    {"render", renderer_render, METH_VARARGS, NULL},
    {"caption", renderer_caption, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot renderer_slots[] = {
    {Py_tp_new, renderer_new},
    {Py_tp_dealloc, renderer_dealloc},
    {Py_tp_methods, renderer_methods},
    {Py_tp_doc, "Draws states of one environment."},
    {0, NULL},
};

static PyType_Spec renderer_spec = {
    .name = "c_envs._native.Renderer",
    .basicsize = sizeof(RendererObject),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    .slots = renderer_slots,
};

/* ---- Module ------------------------------------------------------------------------------------------------------- */

static PyObject *describe_settings(const EnvEntry *entry) {
    PyObject *all = PyTuple_New(entry->setting_count);
    for (int32_t i = 0; all && i < entry->setting_count; i++) {
        static const char *const kinds[] = {"int", "float", "bool"};
        const EnvSetting *setting = &entry->settings[i];
        PyObject *one = Py_BuildValue("(ssdddss)", setting->name, kinds[setting->kind], setting->initial, setting->low,
                                      setting->high, setting->unit, setting->help);
        if (!one || PyTuple_SetItem(all, i, one) != 0) {
            Py_CLEAR(all);
        }
    }
    return all;
}

static PyObject *module_environments(PyObject *module, PyObject *unused) {
    (void)module;
    (void)unused;
    PyObject *all = PyTuple_New(env_table_count);
    for (int i = 0; all && i < env_table_count; i++) {
        PyObject *settings = describe_settings(env_table[i]);
        PyObject *one = settings ? Py_BuildValue("(ssN)", env_table[i]->name, env_table[i]->summary, settings) : NULL;
        if (!one || PyTuple_SetItem(all, i, one) != 0) {
            Py_CLEAR(all);
        }
    }
    return all;
}

static PyObject *module_roles(PyObject *module, PyObject *unused) {
    (void)module;
    (void)unused;
#define ROLE_NAME(id, name) name,
    static const char *const names[] = {CELL_ROLES(ROLE_NAME)};
#undef ROLE_NAME
    PyObject *all = PyTuple_New(CELL_ROLE_COUNT);
    for (int i = 0; all && i < CELL_ROLE_COUNT; i++) {
        PyObject *one = PyUnicode_FromString(names[i]);
        if (!one || PyTuple_SetItem(all, i, one) != 0) {
            Py_CLEAR(all);
        }
    }
    return all;
}

/* check(name, settings): ValueError with one line unless the settings will do. */
static PyObject *module_check(PyObject *module, PyObject *args) {
    const char *name;
    PyObject *values;
    (void)module;
    if (!PyArg_ParseTuple(args, "sO!", &name, &PyTuple_Type, &values)) {
        return NULL;
    }
    const EnvEntry *entry = find_entry(name);
    double *settings = entry ? read_settings(entry, values) : NULL;
    if (!settings) {
        return NULL;
    }
    PyMem_Free(settings);
    Py_RETURN_NONE;
}

/* spec(name, settings): the fields of Spec in their order, the bounds as bytes of float32. */
static PyObject *module_spec(PyObject *module, PyObject *args) {
    const char *name;
    PyObject *values, *result = NULL;
    EnvSpec spec;
    (void)module;
    if (!PyArg_ParseTuple(args, "sO!", &name, &PyTuple_Type, &values)) {
        return NULL;
    }
    const EnvEntry *entry = find_entry(name);
    double *settings = entry ? read_settings(entry, values) : NULL;
    if (!settings) {
        return NULL;
    }
    entry->spec(settings, &spec);
    const size_t count = (size_t)spec.observation_size;
    float *bounds = PyMem_Malloc(2 * count * sizeof(float));
    if (bounds) {
        entry->bounds(settings, bounds, bounds + count);
        result = Py_BuildValue("(iy#y#iiiiii)", (int)spec.observation_size, bounds, (Py_ssize_t)(count * sizeof(float)),
                               bounds + count, (Py_ssize_t)(count * sizeof(float)), (int)spec.actions,
                               (int)spec.continuous, (int)spec.agents, (int)spec.state_bytes, (int)spec.render_scales,
                               (int)spec.truncation_steps);
        PyMem_Free(bounds);
    } else {
        PyErr_NoMemory();
    }
    PyMem_Free(settings);
    return result;
}

static PyMethodDef module_methods[] = {
    {"environments", module_environments, METH_NOARGS, NULL},
    {"roles", module_roles, METH_NOARGS, NULL},
    {"check", module_check, METH_VARARGS, NULL},
    {"spec", module_spec, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static int add_type(PyObject *module, const char *name, PyType_Spec *spec) {
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    const int failed = !type || PyModule_AddObjectRef(module, name, type) < 0;
    Py_XDECREF(type);
    return failed ? -1 : 0;
}

static int module_exec(PyObject *module) {
    return add_type(module, "Batch", &batch_spec) < 0 || add_type(module, "Renderer", &renderer_spec) < 0 ||
                   PyModule_AddIntConstant(module, "THREADS_MAX", THREADS_MAX) < 0
               ? -1
               : 0;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, (void *)module_exec}, {0, NULL}};

static struct PyModuleDef module_definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "c_envs._native",
    .m_doc = "Batches of environments and pictures of their states. Use it through c_envs.",
    .m_methods = module_methods,
    .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__native(void);
PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&module_definition); }
