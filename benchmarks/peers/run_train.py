#!/usr/bin/python3
"""Training steps of akin and of PyTorch in turns, round after round, and the ratio of their medians. See README.md."""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
PYTHON = "/usr/bin/python3"  # Debian's: python3-torch belongs to no other
STEPS = {"mlp": 600, "cnn": 120, "default": 100, "resnet": 6}  # about a second

MALLOC = ":".join(f"glibc.malloc.{k}" for k in ("mmap_threshold=1073741824", "trim_threshold=4294967296", "top_pad=268435456"))


def say(text):
    print(text, file=sys.stderr, flush=True)


class Runner:
    def __init__(self, args):
        self.args = args
        self.pin = ["taskset", "-c", str(args.core)] if shutil.which("taskset") else []
        if not self.pin:
            say("no taskset: nothing is pinned to a core")

    def call(self, command, env=None, pinned=True):
        base = {k: v for k, v in os.environ.items() if k not in ("GLIBC_TUNABLES", "ATEN_CPU_CAPABILITY", "OPENBLAS_CORETYPE")}
        base |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        p = subprocess.run((self.pin if pinned else []) + command, env=base | (env or {}), stdout=subprocess.PIPE, text=True)
        if p.returncode:
            sys.exit(f"run_train: {' '.join(command)}: exit code {p.returncode}")
        return json.loads(p.stdout)

    def akin(self, network, threads, steps):
        command = [self.args.akin, "bench", "train", "--json", "--network", network, "--batch", str(self.args.batch), "--threads", str(threads),
                   "--steps", str(steps), "--warmup", str(max(2, steps // 10))]
        return self.call(command, pinned=threads == 1)

    def torch(self, network, steps, extra, env=None):
        command = [PYTHON, str(HERE / "torch_train.py"), "--network", network, "--batch", str(self.args.batch)]
        if steps:
            command += ["--steps", str(steps), "--warmup", str(max(2, steps // 10))]
        return self.call(command + extra, env)

    def calibrate(self, network):
        """Finds the fastest tuning of a network and the environment that it is fastest in."""
        best = None
        for capability in ("avx2", "avx512"):
            env = {"GLIBC_TUNABLES": MALLOC, "ATEN_CPU_CAPABILITY": capability}
            found = self.torch(network, 0, ["--calibrate"], env)
            cpu = min(t for knob in found["tried_cpu_ms"].values() for t in knob.values())
            say(f"{network}, {capability}: {found['tried_cpu_ms']}")
            if best is None or cpu < best[0]:
                best = cpu, ",".join(f"{k}={v}" for k, v in found["tuning"].items()), env
        return best[1:]

    def network(self, network):
        steps = self.args.steps or STEPS[network]
        tuning, env = self.calibrate(network)
        runs = {
            "akin": lambda: self.akin(network, 1, steps),
            "default": lambda: self.torch(network, steps, []),
            "tuned": lambda: self.torch(network, steps, ["--variant", "tuned", "--tuning", tuning], env),
            "akin2": lambda: self.akin(network, 2, steps),
        }
        results = {k: [] for k in runs}
        for i in range(self.args.rounds):
            for k, run in list(runs.items()) if i % 2 == 0 else reversed(runs.items()):
                results[k].append(run())
            say(f"{network}, round {i + 1}: " + ", ".join(f"{k} {r[-1]['cpu_ms']:.3f}" for k, r in results.items()))
        sizes = {r["parameters"] for rs in results.values() for r in rs}
        if len(sizes) != 1:
            sys.exit(f"run_train: {network}: the networks have {sizes} parameters, which is not the same")
        cpu = {k: statistics.median(r["cpu_ms"] for r in rs) for k, rs in results.items()}
        wall = {k: [r["step_ms"] for r in rs] for k, rs in results.items()}
        return {
            "network": network, "parameters": sizes.pop(), "batch": self.args.batch, "rounds": self.args.rounds, "steps": steps,
            "akin_cpu_ms": cpu["akin"], "torch_default_cpu_ms": cpu["default"], "torch_tuned_cpu_ms": cpu["tuned"],
            "times_default": round(cpu["akin"] / cpu["default"], 3), "times_tuned": round(cpu["akin"] / cpu["tuned"], 3),
            "speedup_2_threads": round(statistics.median(wall["akin"]) / statistics.median(wall["akin2"]), 2),
            "speedup_2_threads_best": round(min(wall["akin"]) / min(wall["akin2"]), 2),
            "cores_obtained": round(max(r["cpu_ms"] / r["step_ms"] for r in results["akin2"]), 2),
            "fraction_of_peak": statistics.median(r["fraction_of_peak"] for r in results["akin"]),
            "allocs_per_step": statistics.median(r["allocs_per_step"] for r in results["akin"]),
            "tuning": tuning, "environment": env, "device": results["akin"][0]["device"], "torch": results["default"][0]["torch"],
            "cpu_ms": {k: [r["cpu_ms"] for r in rs] for k, rs in results.items()}, "step_ms": wall,
        }

    def gemm(self):
        ours, theirs = [], []
        for _ in range(self.args.rounds):
            ours.append(self.call([self.args.akin, "bench", "gemm", "--json"]))
            theirs.append(self.call([PYTHON, str(HERE / "gemm.py")]))
        a, b = (statistics.median(r["gflops"] for r in rs) for rs in (ours, theirs))
        return {"size": ours[0]["size"], "akin_gflops": a, "openblas_gflops": b, "ratio": round(a / b, 3), "openblas_core": theirs[0]["core"],
                "peak_gflops": max(r["peak_gflops"] for r in ours), "akin": [r["gflops"] for r in ours], "openblas": [r["gflops"] for r in theirs]}


def markdown(report):
    t = ["| network | parameters | akin, CPU ms | PyTorch default | PyTorch tuned | × default | × tuned | 2 threads | cores obtained | of peak |",
         "|---|---|---|---|---|---|---|---|---|---|"]
    for n in report["networks"]:
        t.append(f"| {n['network']} | {n['parameters']} | {n['akin_cpu_ms']:.2f} | {n['torch_default_cpu_ms']:.2f} | {n['torch_tuned_cpu_ms']:.2f} | "
                 f"**{n['times_default']:.2f}** | **{n['times_tuned']:.2f}** | {n['speedup_2_threads']:.2f}× (best {n['speedup_2_threads_best']:.2f}×) | {n['cores_obtained']:.2f} | {100 * n['fraction_of_peak']:.0f} % |")
    t.append("")
    for n in report["networks"]:
        t.append(f"- {n['network']}, tuned: {n['tuning']}, ATEN_CPU_CAPABILITY={n['environment']['ATEN_CPU_CAPABILITY']}")
    g = report["gemm"]
    if g:
        t.append(f"- sgemm {g['size']}³: akin {g['akin_gflops']:.0f}, OpenBLAS ({g['openblas_core']}) {g['openblas_gflops']:.0f} GFLOP/s: **{g['ratio']:.2f}**; peak {g['peak_gflops']:.0f}")
    t.append(f"- {report['cpu']}; batch {report['batch']}, {report['rounds']} rounds in turns, medians; load {report['load'][0]:.1f} before, {report['load'][1]:.1f} after")
    return "\n".join(t)


def cpu_model():
    try:
        return next(l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name"))
    except (OSError, StopIteration):
        return "unknown processor"


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--akin", help="the binary (default: build it with go)")
    p.add_argument("--networks", default="mlp,cnn,default,resnet")
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--steps", type=int, default=0, help="of a run (default: about a second)")
    p.add_argument("--core", type=int, default=(os.cpu_count() or 1) - 1, help="that runs of one thread are pinned to")
    p.add_argument("--no-gemm", action="store_true", help="leave OpenBLAS out")
    p.add_argument("--json", action="store_true")
    a = p.parse_args()
    networks = a.networks.split(",")
    for n in networks:
        if n not in STEPS:
            p.error(f"--networks: {n}: use some of {', '.join(STEPS)}")
    with tempfile.TemporaryDirectory() as tmp:
        if not a.akin:
            a.akin = os.path.join(tmp, "akin")
            subprocess.run(["go", "build", "-o", a.akin, "./cmd/akin"], cwd=HERE.parent.parent, check=True)
        a.akin = os.path.abspath(a.akin)
        r = Runner(a)
        load = [os.getloadavg()[0]]
        report = {"cpu": cpu_model(), "batch": a.batch, "rounds": a.rounds, "load": load,
                  "networks": [r.network(n) for n in networks], "gemm": None if a.no_gemm else r.gemm()}
        load.append(os.getloadavg()[0])
    print(json.dumps(report, indent=1) if a.json else markdown(report))


if __name__ == "__main__":
    main()
