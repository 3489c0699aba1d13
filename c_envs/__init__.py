"""Environments in C: plain-data states, stepped in batches by a pool of threads, drawn as grids of characters."""

from __future__ import annotations

from c_envs.batch import MOST_THREADS, Batch, Statistics, cores
from c_envs.info import ENVIRONMENTS, EnvironmentConfigError, EnvironmentInfo, Setting, Spec, check, spec
from c_envs.render import ROLES, Renderer

__all__ = [
    "ENVIRONMENTS",
    "MOST_THREADS",
    "ROLES",
    "Batch",
    "EnvironmentConfigError",
    "EnvironmentInfo",
    "Renderer",
    "Setting",
    "Spec",
    "Statistics",
    "check",
    "cores",
    "spec",
]
