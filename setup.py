"""The C extensions; everything else about the package is in pyproject.toml."""

from setuptools import Extension, setup

# The environments promise the same bytes everywhere, so the compiler must not fuse multiplications with additions.
c_envs = Extension(
    "c_envs._native",
    sources=["c_envs/native.c", "c_envs/batch.c", "c_envs/pool.c", "c_envs/table.c"],
    depends=[
        "c_envs/adapter.h",
        "c_envs/bandit.h",
        "c_envs/batch.h",
        "c_envs/breakout.h",
        "c_envs/canvas.h",
        "c_envs/cells.h",
        "c_envs/env.h",
        "c_envs/maze.h",
        "c_envs/memory.h",
        "c_envs/multiagent.h",
        "c_envs/password.h",
        "c_envs/play.h",
        "c_envs/pool.h",
        "c_envs/random.h",
        "c_envs/settings.h",
        "c_envs/spaces.h",
        "c_envs/squared.h",
        "c_envs/stochastic.h",
        "c_envs/table.h",
    ],
    define_macros=[("Py_LIMITED_API", "0x030B0000"), ("_POSIX_C_SOURCE", "200809L")],
    extra_compile_args=["-std=c11", "-O3", "-ffp-contract=off", "-pthread", "-fvisibility=hidden", "-Wall", "-Wextra"],
    extra_link_args=["-pthread"],
    py_limited_api=True,
)

kernels = Extension(
    "engine._kernels",
    sources=["engine/kernels/module.c", "engine/kernels/kernels.c"],
    depends=["engine/kernels/kernels.h"],
    define_macros=[("Py_LIMITED_API", "0x030B0000")],
    extra_compile_args=[
        "-std=gnu11",
        "-O3",
        "-fno-math-errno",
        "-fno-trapping-math",
        "-fvisibility=hidden",
        "-Wall",
        "-Wextra",
    ],
    extra_link_args=["-lm"],
    py_limited_api=True,
)

setup(ext_modules=[c_envs, kernels], options={"bdist_wheel": {"py_limited_api": "cp311"}})
