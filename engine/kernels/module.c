/* Python binding of kernels.h on the limited API: float32 buffers in, every shape checked, the interpreter lock released. */
#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#include <Python.h>
#include <string.h>

#include "kernels.h"

enum { MOST = 12 };

/* The buffers of one call, released together. */
typedef struct {
    Py_buffer views[MOST];
    int held;
} Arguments;

static void release(Arguments *args) {
    while (args->held > 0) PyBuffer_Release(&args->views[--args->held]);
}

/* Takes a buffer with `dims` dimensions of `format` whose last one is contiguous, or returns NULL with an exception set. */
static Py_buffer *take(Arguments *args, PyObject *object, const char *name, const char *format, int dims, int writable) {
    Py_buffer *view = &args->views[args->held];
    if (PyObject_GetBuffer(object, view, PyBUF_STRIDES | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0)) != 0) return NULL;
    args->held++;
    if (view->format == NULL || strcmp(view->format, format) != 0) {
        PyErr_Format(PyExc_TypeError, "%s has format '%s', needs '%s'", name, view->format ? view->format : "?", format);
        return NULL;
    }
    if (view->ndim != dims) {
        PyErr_Format(PyExc_ValueError, "%s has %d dimensions, needs %d", name, view->ndim, dims);
        return NULL;
    }
    if (view->shape[dims - 1] > 1 && view->strides[dims - 1] != view->itemsize) {
        PyErr_Format(PyExc_ValueError, "%s: its last dimension is not contiguous", name);
        return NULL;
    }
    return view;
}

/* Rows of a 2-D buffer follow one another without a gap. */
static int packed(const Py_buffer *view, const char *name) {
    if (view->shape[0] > 1 && view->strides[0] != view->shape[1] * view->itemsize) {
        PyErr_Format(PyExc_ValueError, "%s is not contiguous", name);
        return 0;
    }
    return 1;
}

static int shaped(const Py_buffer *view, const char *name, Py_ssize_t rows, Py_ssize_t columns) {
    if (view->shape[0] != rows || (view->ndim > 1 && view->shape[1] != columns)) {
        PyErr_Format(PyExc_ValueError, "%s has shape (%zd, %zd), needs (%zd, %zd)", name, view->shape[0],
                     view->ndim > 1 ? view->shape[1] : 1, rows, columns);
        return 0;
    }
    return 1;
}

/* Takes a contiguous float32 [rows, columns]. */
static float *matrix(Arguments *args, PyObject *object, const char *name, Py_ssize_t rows, Py_ssize_t columns, int writable) {
    Py_buffer *view = take(args, object, name, "f", 2, writable);
    if (!view || !shaped(view, name, rows, columns) || !packed(view, name)) return NULL;
    return view->buf;
}

/* Takes a float32 [rows, columns] whose rows may lie apart; *stride receives the distance in floats. */
static float *strided(Arguments *args, PyObject *object, const char *name, Py_ssize_t rows, Py_ssize_t columns,
                      ptrdiff_t *stride) {
    Py_buffer *view = take(args, object, name, "f", 2, 1);
    if (!view || !shaped(view, name, rows, columns)) return NULL;
    *stride = view->strides[0] / view->itemsize;
    return view->buf;
}

static void *vector(Arguments *args, PyObject *object, const char *name, const char *format, Py_ssize_t rows, int writable) {
    Py_buffer *view = take(args, object, name, format, 1, writable);
    if (!view || !shaped(view, name, rows, 1)) return NULL;
    return view->buf;
}

/* Takes uint8 [rows]; None stands for "no row" and leaves *flags NULL. */
static int optional_flags(Arguments *args, PyObject *object, const char *name, Py_ssize_t rows, const uint8_t **flags) {
    *flags = NULL;
    if (object == Py_None) return 1;
    *flags = vector(args, object, name, "B", rows, 0);
    return *flags != NULL;
}

/* What forward and backward of the LSTM have in common. */
typedef struct {
    Py_ssize_t rows, hidden;
    float *gates, *cell, *next;
    const uint8_t *reset, *reset_next;
} Gates;

/* Takes it, or returns 0 with an exception set. */
static int take_gates(Arguments *args, Gates *lstm, PyObject *gates, PyObject *cell, PyObject *reset, PyObject *next,
                      PyObject *reset_next, int writes_next) {
    Py_buffer *shape = take(args, cell, "cell", "f", 2, 0);
    if (!shape || !packed(shape, "cell")) return 0;
    lstm->rows = shape->shape[0], lstm->hidden = shape->shape[1], lstm->cell = shape->buf;
    return (lstm->gates = matrix(args, gates, "gates", lstm->rows, 4 * lstm->hidden, 1)) &&
           (lstm->next = matrix(args, next, "next", lstm->rows, lstm->hidden, writes_next)) &&
           optional_flags(args, reset, "reset", lstm->rows, &lstm->reset) &&
           optional_flags(args, reset_next, "reset_next", lstm->rows, &lstm->reset_next);
}

static PyObject *py_lstm_forward(PyObject *self, PyObject *tuple) {
    (void)self;
    PyObject *gates, *cell, *reset, *next, *output_, *carried_, *reset_next;
    if (!PyArg_ParseTuple(tuple, "OOOOOOO", &gates, &cell, &reset, &next, &output_, &carried_, &reset_next)) return NULL;
    Arguments args = {.held = 0};
    Gates lstm;
    ptrdiff_t output_stride, carried_stride;
    float *output, *carried;
    if (!take_gates(&args, &lstm, gates, cell, reset, next, reset_next, 1)) goto fail;
    if (!(output = strided(&args, output_, "output", lstm.rows, lstm.hidden, &output_stride))) goto fail;
    if (!(carried = strided(&args, carried_, "carried", lstm.rows, lstm.hidden, &carried_stride))) goto fail;
    Py_BEGIN_ALLOW_THREADS
    lstm_forward(lstm.rows, lstm.hidden, lstm.gates, lstm.cell, lstm.reset, lstm.next, output, output_stride, carried,
                 carried_stride, lstm.reset_next);
    Py_END_ALLOW_THREADS
    release(&args);
    Py_RETURN_NONE;
fail:
    release(&args);
    return NULL;
}

static PyObject *py_lstm_backward(PyObject *self, PyObject *tuple) {
    (void)self;
    PyObject *gates, *cell, *reset, *next, *d_output_, *d_hidden_, *reset_next, *d_cell_;
    if (!PyArg_ParseTuple(tuple, "OOOOOOOO", &gates, &cell, &reset, &next, &d_output_, &d_hidden_, &reset_next, &d_cell_))
        return NULL;
    Arguments args = {.held = 0};
    Gates lstm;
    float *d_output, *d_hidden, *d_cell;
    if (!take_gates(&args, &lstm, gates, cell, reset, next, reset_next, 0)) goto fail;
    if (!(d_output = matrix(&args, d_output_, "d_output", lstm.rows, lstm.hidden, 0))) goto fail;
    if (!(d_hidden = matrix(&args, d_hidden_, "d_hidden", lstm.rows, lstm.hidden, 0))) goto fail;
    if (!(d_cell = matrix(&args, d_cell_, "d_cell", lstm.rows, lstm.hidden, 1))) goto fail;
    Py_BEGIN_ALLOW_THREADS
    lstm_backward(lstm.rows, lstm.hidden, lstm.gates, lstm.cell, lstm.reset, lstm.next, d_output, d_hidden,
                  lstm.reset_next, d_cell);
    Py_END_ALLOW_THREADS
    release(&args);
    Py_RETURN_NONE;
fail:
    release(&args);
    return NULL;
}

/* Takes what forward and backward of the MinGRU have in common; 0 with an exception set. */
typedef struct {
    Py_ssize_t steps, rows, hidden;
    float *raw, *inputs, *start, *states;
    const uint8_t *resets;
} Scan;

static int take_scan(Arguments *args, Scan *scan, PyObject *raw, PyObject *inputs, PyObject *start, PyObject *resets,
                     PyObject *states, int writes_states) {
    Py_buffer *flags = take(args, resets, "resets", "B", 2, 0);
    if (!flags || !packed(flags, "resets")) return 0;
    scan->steps = flags->shape[0], scan->rows = flags->shape[1], scan->resets = flags->buf;
    Py_buffer *first = take(args, start, "start", "f", 2, 0);
    if (!first || !packed(first, "start")) return 0;
    scan->hidden = first->shape[1], scan->start = first->buf;
    if (!shaped(first, "start", scan->rows, scan->hidden)) return 0;
    const Py_ssize_t all = scan->steps * scan->rows;
    return (scan->raw = matrix(args, raw, "raw", all, 3 * scan->hidden, 0)) &&
           (scan->inputs = matrix(args, inputs, "inputs", all, scan->hidden, 0)) &&
           (scan->states = matrix(args, states, "states", all, scan->hidden, writes_states));
}

static PyObject *py_mingru_forward(PyObject *self, PyObject *tuple) {
    (void)self;
    PyObject *raw, *inputs, *start, *resets, *states, *outputs_;
    if (!PyArg_ParseTuple(tuple, "OOOOOO", &raw, &inputs, &start, &resets, &states, &outputs_)) return NULL;
    Arguments args = {.held = 0};
    Scan scan;
    float *outputs;
    if (!take_scan(&args, &scan, raw, inputs, start, resets, states, 1)) goto fail;
    if (!(outputs = matrix(&args, outputs_, "outputs", scan.steps * scan.rows, scan.hidden, 1))) goto fail;
    Py_BEGIN_ALLOW_THREADS
    mingru_forward(scan.steps, scan.rows, scan.hidden, scan.raw, scan.inputs, scan.start, scan.resets, scan.states, outputs);
    Py_END_ALLOW_THREADS
    release(&args);
    Py_RETURN_NONE;
fail:
    release(&args);
    return NULL;
}

static PyObject *py_mingru_backward(PyObject *self, PyObject *tuple) {
    (void)self;
    PyObject *raw, *inputs, *start, *resets, *states, *d_outputs_, *d_inputs_, *d_raw_;
    if (!PyArg_ParseTuple(tuple, "OOOOOOOO", &raw, &inputs, &start, &resets, &states, &d_outputs_, &d_inputs_, &d_raw_))
        return NULL;
    Arguments args = {.held = 0};
    Scan scan;
    float *d_outputs, *d_inputs, *d_raw, *carry;
    if (!take_scan(&args, &scan, raw, inputs, start, resets, states, 0)) goto fail;
    const Py_ssize_t all = scan.steps * scan.rows;
    if (!(d_outputs = matrix(&args, d_outputs_, "d_outputs", all, scan.hidden, 0))) goto fail;
    if (!(d_inputs = matrix(&args, d_inputs_, "d_inputs", all, scan.hidden, 1))) goto fail;
    if (!(d_raw = matrix(&args, d_raw_, "d_raw", all, 3 * scan.hidden, 1))) goto fail;
    if (!(carry = PyMem_Malloc((size_t)(scan.rows * scan.hidden + 1) * sizeof(float)))) {
        PyErr_NoMemory();
        goto fail;
    }
    Py_BEGIN_ALLOW_THREADS
    mingru_backward(scan.steps, scan.rows, scan.hidden, scan.raw, scan.inputs, scan.start, scan.resets, scan.states,
                    d_outputs, d_inputs, d_raw, carry);
    Py_END_ALLOW_THREADS
    PyMem_Free(carry);
    release(&args);
    Py_RETURN_NONE;
fail:
    release(&args);
    return NULL;
}

static PyObject *py_sample_actions(PyObject *self, PyObject *tuple) {
    (void)self;
    PyObject *heads_, *uniform_, *chosen_, *logprob_, *value_;
    if (!PyArg_ParseTuple(tuple, "OOOOO", &heads_, &uniform_, &chosen_, &logprob_, &value_)) return NULL;
    Arguments args = {.held = 0};
    float *uniform, *logprob, *value;
    int32_t *chosen;
    Py_buffer *heads = take(&args, heads_, "heads", "f", 2, 0);
    if (!heads || !packed(heads, "heads")) goto fail;
    const Py_ssize_t rows = heads->shape[0], actions = heads->shape[1] - 1;
    if (actions < 1) {
        PyErr_SetString(PyExc_ValueError, "heads needs at least one logit and the value");
        goto fail;
    }
    if (!(uniform = vector(&args, uniform_, "uniform", "f", rows, 0))) goto fail;
    if (!(chosen = vector(&args, chosen_, "chosen", "i", rows, 1))) goto fail;
    if (!(logprob = vector(&args, logprob_, "logprob", "f", rows, 1))) goto fail;
    if (!(value = vector(&args, value_, "value", "f", rows, 1))) goto fail;
    Py_BEGIN_ALLOW_THREADS
    sample_actions(rows, actions, heads->buf, uniform, chosen, logprob, value);
    Py_END_ALLOW_THREADS
    release(&args);
    Py_RETURN_NONE;
fail:
    release(&args);
    return NULL;
}

static PyObject *py_advantages(PyObject *self, PyObject *tuple) {
    (void)self;
    PyObject *rewards_, *values_, *ratios_, *done_, *final_value_, *bootstrap_, *out_;
    float gamma, lambda, rho_clip, c_clip;
    if (!PyArg_ParseTuple(tuple, "OOOOOOffffO", &rewards_, &values_, &ratios_, &done_, &final_value_, &bootstrap_, &gamma,
                          &lambda, &rho_clip, &c_clip, &out_))
        return NULL;
    Arguments args = {.held = 0};
    float *values, *ratios, *final_value, *bootstrap, *out;
    Py_buffer *rewards = take(&args, rewards_, "rewards", "f", 2, 0);
    if (!rewards || !packed(rewards, "rewards")) goto fail;
    const Py_ssize_t horizon = rewards->shape[0], agents = rewards->shape[1];
    if (!(values = matrix(&args, values_, "values", horizon, agents, 0))) goto fail;
    if (!(ratios = matrix(&args, ratios_, "ratios", horizon, agents, 0))) goto fail;
    Py_buffer *done = take(&args, done_, "done", "B", 2, 0);
    if (!done || !shaped(done, "done", horizon, agents) || !packed(done, "done")) goto fail;
    if (!(final_value = matrix(&args, final_value_, "final_value", horizon, agents, 0))) goto fail;
    if (!(bootstrap = vector(&args, bootstrap_, "bootstrap", "f", agents, 0))) goto fail;
    if (!(out = matrix(&args, out_, "out", horizon, agents, 1))) goto fail;
    Py_BEGIN_ALLOW_THREADS
    advantages(horizon, agents, rewards->buf, values, ratios, done->buf, final_value, bootstrap, gamma, lambda, rho_clip,
               c_clip, out);
    Py_END_ALLOW_THREADS
    release(&args);
    Py_RETURN_NONE;
fail:
    release(&args);
    return NULL;
}

static PyMethodDef methods[] = {
    {"lstm_forward", py_lstm_forward, METH_VARARGS, "lstm_forward(gates, cell, reset, next, output, carried, reset_next)"},
    {"lstm_backward", py_lstm_backward, METH_VARARGS,
     "lstm_backward(gates, cell, reset, next, d_output, d_hidden, reset_next, d_cell)"},
    {"mingru_forward", py_mingru_forward, METH_VARARGS, "mingru_forward(raw, inputs, start, resets, states, outputs)"},
    {"mingru_backward", py_mingru_backward, METH_VARARGS,
     "mingru_backward(raw, inputs, start, resets, states, d_outputs, d_inputs, d_raw)"},
    {"sample_actions", py_sample_actions, METH_VARARGS, "sample_actions(heads, uniform, chosen, logprob, value)"},
    {"advantages", py_advantages, METH_VARARGS,
     "advantages(rewards, values, ratios, done, final_value, bootstrap, gamma, gae_lambda, rho_clip, c_clip, out)"},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {{0, NULL}};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "_kernels", .m_doc = "Fused float32 kernels of the CPU path.", .m_size = 0,
    .m_methods = methods, .m_slots = slots,
};

PyMODINIT_FUNC PyInit__kernels(void);

PyMODINIT_FUNC PyInit__kernels(void) { return PyModuleDef_Init(&module); }
