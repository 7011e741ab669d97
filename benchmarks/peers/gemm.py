#!/usr/bin/python3
"""The product of two square float32 matrices by OpenBLAS through numpy, on one thread: what `akin bench gemm` measures of akin."""
import argparse
import ctypes
import json
import os
import statistics
import sys
import time

os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy as np


def openblas():
    """The path, core and configuration of the OpenBLAS that numpy has loaded; no other BLAS will do."""
    maps = open("/proc/self/maps").read().split()
    paths = sorted({p for p in maps if "openblas" in p})
    for path in paths:
        lib = ctypes.CDLL(path)
        for suffix in ("", "64_"):
            try:
                core, config = getattr(lib, "openblas_get_corename" + suffix), getattr(lib, "openblas_get_config" + suffix)
            except AttributeError:
                continue
            core.restype = config.restype = ctypes.c_char_p
            return path, core().decode(), config().decode()
    blas = sorted({p for p in maps if "blas" in p})
    sys.exit(f"gemm: numpy has not loaded OpenBLAS but {blas or 'no BLAS'}: apt-get install libopenblas0-pthread")


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--size", type=int, default=512)
    p.add_argument("--rounds", type=int, default=5, help="of at least 100 ms each; the result is their median")
    a = p.parse_args()
    rng = np.random.default_rng(0)
    x, y = (rng.random((a.size, a.size), dtype=np.float32) - np.float32(0.5) for _ in range(2))
    z = np.empty_like(x)
    rates = []
    for _ in range(a.rounds + 1):  # the first one warms up
        n, start, cpu = 0, time.perf_counter(), time.process_time()
        while time.perf_counter() - start < 0.1:
            np.dot(x, y, out=z)
            n += 1
        rates.append(2 * a.size**3 * n / (time.process_time() - cpu) / 1e9)
    path, core, config = openblas()
    print(json.dumps({"size": a.size, "gflops": round(statistics.median(rates[1:]), 2), "core": core, "config": config, "library": path, "numpy": np.__version__}))


if __name__ == "__main__":
    main()
