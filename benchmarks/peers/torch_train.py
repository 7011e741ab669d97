#!/usr/bin/python3
"""Training steps of akin's networks in PyTorch, to be measured beside `akin bench train`.

A step is forward, SupCon at temperature 0.1, backward and AdamW, on random 28x28 images of ten classes.

  default   what one would write: modules, torch.optim.AdamW, SupCon of tensor operations
  tuned     the same mathematics, by whatever is fastest in this PyTorch. See README.md for what is tried; --calibrate tries
            it, and --tuning names the choice.
"""
import argparse
import itertools
import json
import os
import statistics
import struct
import sys
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # torch.set_num_threads does not reach it
import torch
from torch import nn
import torch.nn.functional as F

TEMPERATURE = 0.1
CLASSES = 10
RATE = 1e-3
DECAY = 1e-4
POOL = 8  # prepared batches, taken in turn
EMBEDDING = 64

LAYOUTS = ("dense", "nhwc", "onednn", "onednn-all")
OPTIMIZERS = ("plain", "foreach", "flat")
LOSSES = ("autograd", "manual")
TUNING = {"layout": LAYOUTS, "optimizer": OPTIMIZERS, "loss": LOSSES}


# --- networks: forward() is the default variant, fast(x, layout) the tuned one --------------------------------------------


class MLP(nn.Module):
    layouts = ("dense", "onednn-all")

    def __init__(self):
        super().__init__()
        self.fc = nn.ModuleList([nn.Linear(784, 256), nn.Linear(256, 128), nn.Linear(128, EMBEDDING)])

    def forward(self, x):
        x = torch.flatten(x, 1)
        x = F.relu(self.fc[0](x))
        x = F.relu(self.fc[1](x))
        return F.normalize(self.fc[2](x))

    def fast(self, x, layout):
        return normalized(linears(torch.flatten(x, 1), self.fc, layout))


class CNN(nn.Module):
    """Convolutions 3x3, normalised or not, with ReLU, and where pools says so 2x2 max pooling, then linear layers with ReLU between them."""

    layouts = LAYOUTS

    def __init__(self, filters, pools, norm, side, units):
        super().__init__()
        self.conv = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1, bias=not norm) for i, o in zip([1] + filters, filters))
        self.norm = nn.ModuleList(nn.BatchNorm2d(o) for o in filters) if norm else [None] * len(filters)
        self.pools = pools
        units = [filters[-1] * side * side] + units
        self.fc = nn.ModuleList(nn.Linear(i, o) for i, o in zip(units, units[1:]))

    def forward(self, x):
        for conv, norm, pool in zip(self.conv, self.norm, self.pools):
            x = conv(x)
            if norm is not None:
                x = norm(x)
            x = F.relu(x)
            if pool:
                x = F.max_pool2d(x, 2)
        x = torch.flatten(x, 1)
        for i, fc in enumerate(self.fc):
            x = fc(x)
            if i + 1 < len(self.fc):
                x = F.relu(x)
        return F.normalize(x)

    def fast(self, x, layout):
        onednn = layout.startswith("onednn")
        if onednn:
            x = x.to_mkldnn()
        for conv, norm, pool in zip(self.conv, self.norm, self.pools):
            x = F.conv2d(x, conv.weight, conv.bias, padding=1)
            if norm is not None:
                x = norm_onednn(norm, x) if onednn else norm(x)
            if pool:  # the maximum of ReLU is ReLU of the maximum, on a quarter of the values
                x = F.max_pool2d(x, 2, 2)
            x = F.relu(x, inplace=not onednn)
        if onednn:
            x = x.to_dense()
        if layout == "nhwc":  # flattened as it lies in memory: another order of the inputs of a trained layer
            x = x.permute(0, 2, 3, 1)
        return normalized(linears(x.reshape(x.shape[0], -1), self.fc, layout))


class Block(nn.Module):
    """A basic residual block (He et al. 2016)."""

    def __init__(self, channels, filters, stride):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(channels, filters, 3, stride, 1, bias=False), nn.BatchNorm2d(filters)
        self.conv2, self.norm2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False), nn.BatchNorm2d(filters)
        self.skip = None
        if stride != 1 or channels != filters:
            self.skip = nn.Sequential(nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        return F.relu(y + (x if self.skip is None else self.skip(x)))

    def fast(self, x):
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(y))
        y += x if self.skip is None else self.skip(x)
        return F.relu(y, inplace=True)

    def fast_onednn(self, x):
        y = F.relu(norm_onednn(self.norm1, self.conv1(x)))
        y = norm_onednn(self.norm2, self.conv2(y))
        return F.relu(y + (x if self.skip is None else norm_onednn(self.skip[1], self.skip[0](x))))


def norm_onednn(norm, x):
    return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, True, norm.momentum, norm.eps)


class ResNet(nn.Module):
    layouts = ("dense", "nhwc", "onednn")

    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)
        self.blocks = nn.ModuleList([Block(32, 32, 1), Block(32, 64, 2), Block(64, 128, 2)])
        self.fc = nn.Linear(128, EMBEDDING)

    def forward(self, x):
        x = F.relu(self.norm(self.conv(x)))
        for block in self.blocks:
            x = block(x)
        return F.normalize(self.fc(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)))

    def fast(self, x, layout):
        if layout == "onednn":
            x = F.relu(norm_onednn(self.norm, self.conv(x.to_mkldnn())))
            for block in self.blocks:
                x = block.fast_onednn(x)
            x = x.to_dense()  # the gradient of oneDNN's average pooling takes 13 % of the step
        else:
            x = F.relu(self.norm(self.conv(x)), inplace=True)
            for block in self.blocks:
                x = block.fast(x)
        x = x.mean((2, 3))
        return normalized(F.linear(x, self.fc.weight, self.fc.bias))


def linears(x, layers, layout):
    if layout == "onednn-all":
        x = x.to_mkldnn()
    for i, fc in enumerate(layers):
        x = F.linear(x, fc.weight, fc.bias)
        if i + 1 < len(layers):
            x = F.relu(x) if layout == "onednn-all" else F.relu(x, inplace=True)
    return x.to_dense() if layout == "onednn-all" else x


class Normalized(torch.autograd.Function):
    """F.normalize in fewer operations."""

    @staticmethod
    def forward(ctx, x):
        inverse = x.pow(2).sum(1, keepdim=True).add_(1e-12).rsqrt_()
        y = x * inverse
        ctx.save_for_backward(y, inverse)
        return y

    @staticmethod
    def backward(ctx, g):
        y, inverse = ctx.saved_tensors
        return torch.addcmul(g, y, (g * y).sum(1, keepdim=True), value=-1).mul_(inverse)


normalized = Normalized.apply

NETWORKS = {
    "mlp": MLP,
    "cnn": lambda: CNN([16, 32], [True, True], False, 7, [128, EMBEDDING]),
    "default": lambda: CNN([16, 32, 32, 64, 64], [True, False, True, False, True], True, 3, [EMBEDDING]),
    "resnet": ResNet,
}


def layouts_of(network):
    return NETWORKS[network]().layouts


# --- loss: Khosla et al. 2020, equation 2, mean over the rows that have a positive ----------------------------------------


def same(labels):
    mask = labels[:, None] == labels[None, :]
    mask.fill_diagonal_(False)
    return mask.float()


def supcon_autograd(z, labels):
    positives = same(labels)
    count = positives.sum(1)
    sim = z @ z.t() / TEMPERATURE
    sim = sim - torch.diag_embed(torch.full((len(z),), float("inf")))
    logp = torch.log_softmax(sim, 1).masked_fill(positives == 0, 0)
    per_row = -(positives * logp).sum(1)
    anchors = count > 0
    return (per_row[anchors] / count[anchors]).mean()


class SupCon(torch.autograd.Function):
    """The loss with its gradient by hand: (G + G') E / temperature, with G = (softmax - share of the positives) / anchors."""

    @staticmethod
    def forward(ctx, z, labels):
        target = same(labels)
        count = target.sum(1, keepdim=True)
        anchors = count.gt(0).float()
        n = anchors.sum()
        target.div_(count.clamp_(min=1))
        sim = (z @ z.t()).mul_(1 / TEMPERATURE)
        sim.fill_diagonal_(-1e9)
        logp = torch.log_softmax(sim, 1)
        loss = -(target.view(-1).dot(logp.view(-1))) / n
        g = logp.exp_().mul_(anchors).sub_(target)
        ctx.save_for_backward((g + g.t()).div_(n * TEMPERATURE) @ z)
        return loss

    @staticmethod
    def backward(ctx, upstream):
        return ctx.saved_tensors[0] * upstream, None


# --- AdamW ----------------------------------------------------------------------------------------------------------------


class FlatAdamW:
    """AdamW on one flat tensor that all weights and gradients are views of."""

    def __init__(self, params, rate, decay, nhwc):
        params = list(params)
        starts = list(itertools.accumulate([(p.numel() + 15) // 16 * 16 for p in params], initial=0))
        self.w, self.g, self.m, self.v, self.d = (torch.zeros(starts[-1]) for _ in range(5))
        self.rate, self.decay, self.t = rate, decay, 0
        for p, at in zip(params, starts):
            w, g = self.w[at : at + p.numel()], self.g[at : at + p.numel()]
            if nhwc and p.dim() == 4:
                o, i, h, k = p.shape
                w, g = (x.view(o, h, k, i).permute(0, 3, 1, 2) for x in (w, g))
            else:
                w, g = w.view(p.shape), g.view(p.shape)
            w.copy_(p.data)
            p.data, p.grad = w, g

    def zero_grad(self):
        self.g.zero_()

    @torch.no_grad()
    def step(self):
        self.t += 1
        self.w.mul_(1 - self.rate * self.decay)
        self.m.mul_(0.9).add_(self.g, alpha=0.1)
        self.v.mul_(0.999).addcmul_(self.g, self.g, value=0.001)
        torch.sqrt(self.v, out=self.d)
        self.d.mul_((1 - 0.999**self.t) ** -0.5).add_(1e-8)
        self.w.addcdiv_(self.m, self.d, value=-self.rate / (1 - 0.9**self.t))


# --- a run ----------------------------------------------------------------------------------------------------------------


class Run:
    def __init__(self, network, tuning, batches, seed=0):
        """tuning is None for the default variant; batches are pairs of images [N,1,28,28] and labels."""
        torch.manual_seed(seed)
        self.model, self.tuning, self.batches, self.done = NETWORKS[network](), tuning, batches, 0
        if tuning is None:
            self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=RATE, weight_decay=DECAY)
            return
        nhwc = tuning["layout"] == "nhwc"
        if nhwc:
            self.model = self.model.to(memory_format=torch.channels_last)
            self.batches = [(x.to(memory_format=torch.channels_last), y) for x, y in batches]
        if tuning["optimizer"] == "flat":
            self.optimizer = FlatAdamW(self.model.parameters(), RATE, DECAY, nhwc)
        else:
            self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=RATE, weight_decay=DECAY, foreach=tuning["optimizer"] == "foreach")

    def step(self):
        x, labels = self.batches[self.done % len(self.batches)]
        self.done += 1
        if self.tuning is None:
            self.optimizer.zero_grad()
            loss = supcon_autograd(self.model(x), labels)
        else:
            if self.tuning["optimizer"] == "flat":
                self.optimizer.zero_grad()
            else:
                self.optimizer.zero_grad(set_to_none=True)
            supcon = SupCon.apply if self.tuning["loss"] == "manual" else supcon_autograd
            loss = supcon(self.model.fast(x, self.tuning["layout"]), labels)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def parameters(self):
        return sum(p.numel() for p in self.model.parameters())

    def measure(self, steps):
        """Medians in milliseconds: by the wall clock and of the processor."""
        wall, cpu = [], []
        for _ in range(steps):
            w, c = time.perf_counter(), time.process_time()
            loss = self.step()
            cpu.append(time.process_time() - c)
            wall.append(time.perf_counter() - w)
        if not torch.isfinite(loss):
            sys.exit(f"torch_train: the loss is {loss.item()}")
        return 1e3 * statistics.median(wall), 1e3 * statistics.median(cpu)


def random_batches(batch, n=POOL):
    g = torch.Generator().manual_seed(1)
    return [(torch.rand(batch, 1, 28, 28, generator=g), torch.randint(CLASSES, (batch,), generator=g)) for _ in range(n)]


def calibrate(network, batch, seconds=1.0):
    """Returns the fastest tuning and the cpu_ms of all that were tried: the layout first, then the optimizer, then the loss."""
    choice = {"layout": None, "optimizer": "flat", "loss": "manual"}
    tried = {}
    for knob in TUNING:
        runs = {}
        for value in layouts_of(network) if knob == "layout" else TUNING[knob]:
            tuning = dict(choice, **{knob: value})
            runs[value] = Run(network, tuning, random_batches(batch))
        for run in runs.values():
            run.measure(2)
        once = {v: run.measure(3)[1] for v, run in runs.items()}
        times = {v: [] for v in runs}
        for _ in range(3):  # in turns, so that a busy moment hits all
            for v, run in runs.items():
                times[v].append(run.measure(max(3, min(100, int(1e3 * seconds / 3 / once[v]))))[1])
        cpu = {v: min(t) for v, t in times.items()}
        choice[knob] = min(cpu, key=cpu.get)
        tried[knob] = {v: round(t, 3) for v, t in cpu.items()}
    return choice, tried


# --- the same network as akin's ---------------------------------------------------------------------------------------------


def read_model(path):
    """The weights of an akin model file: magic, version, length of a JSON header, header, float32, SHA-256."""
    b = open(path, "rb").read()
    magic, version, header = struct.unpack_from("<8sII", b)
    if magic != b"akinmodl" or version != 1:
        sys.exit(f"torch_train: {path} is not an akin model file of version 1")
    return torch.frombuffer(bytearray(b[16 + header : -32]), dtype=torch.float32)


def load_weights(model, flat, nhwc):
    """Copies akin's weights, in its order and layout (taps, channels in, channels out), into a model; all must be used.

    Without nhwc, an image is flattened as channels, height, width; akin flattens it as height, width, channels."""
    at = 0

    def take(*shape):
        nonlocal at
        n = torch.Size(shape).numel()
        at += n
        return flat[at - n : at].view(shape)

    def conv(c):
        o, i, h, w = c.weight.shape
        c.weight.copy_(take(h, w, i, o).permute(3, 2, 0, 1))
        if c.bias is not None:
            c.bias.copy_(take(o))

    def norm(n):
        for p in (n.weight, n.bias, n.running_mean, n.running_var):
            p.copy_(take(p.numel()))

    def linear(fc, image=None):
        w = take(fc.in_features, fc.out_features)
        if image and not nhwc:
            c, h, k = image
            w = w.view(h, k, c, -1).permute(2, 0, 1, 3).reshape(c * h * k, -1)
        fc.weight.copy_(w.t())
        fc.bias.copy_(take(fc.out_features))

    with torch.no_grad():
        if isinstance(model, CNN):
            for c, n in zip(model.conv, model.norm):
                conv(c)
                if n is not None:
                    norm(n)
            side = int((model.fc[0].in_features // model.conv[-1].out_channels) ** 0.5)
            linear(model.fc[0], (model.conv[-1].out_channels, side, side))
            for fc in model.fc[1:]:
                linear(fc)
        elif isinstance(model, MLP):
            for fc in model.fc:
                linear(fc)
        else:
            conv(model.conv), norm(model.norm)
            for b in model.blocks:
                conv(b.conv1), norm(b.norm1), conv(b.conv2), norm(b.norm2)
                if b.skip is not None:
                    conv(b.skip[0]), norm(b.skip[1])
            linear(model.fc)
    if at != len(flat):
        sys.exit(f"torch_train: the network takes {at} weights, the model has {len(flat)}")


def verify(path):
    """Replays the steps of a file that benchmarks/train_peers_test.go writes; returns parameters and losses of every variant."""
    spec = json.load(open(path))
    weights = read_model(spec["model"])
    batches = [(torch.tensor(b["images"]).view(-1, 1, 28, 28), torch.tensor(b["labels"])) for b in spec["batches"]]
    variants = {"default": None}
    for layout in layouts_of(spec["network"]):
        for i, optimizer in enumerate(OPTIMIZERS):
            variants[f"{layout}, {optimizer}, {LOSSES[i % 2]}"] = {"layout": layout, "optimizer": optimizer, "loss": LOSSES[i % 2]}
    out = {}
    for name, tuning in variants.items():
        run = Run(spec["network"], tuning, batches)
        load_weights(run.model, weights, tuning is not None and tuning["layout"] == "nhwc")
        out[name] = [run.step().item() for _ in batches]
    return {"parameters": run.parameters(), "losses": out}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--network", choices=NETWORKS, default="cnn")
    p.add_argument("--variant", choices=("default", "tuned"), default="default")
    p.add_argument("--tuning", help="of the tuned variant, as in layout=onednn,optimizer=flat,loss=manual (default: calibrate first)")
    p.add_argument("--batch", type=int, default=128)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--steps", type=int, default=200)
    p.add_argument("--warmup", type=int, default=20)
    p.add_argument("--calibrate", action="store_true", help="only find the fastest tuning")
    p.add_argument("--verify", metavar="FILE", help="replay the steps that akin's test has written")
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.set_num_interop_threads(1)
    if a.verify:
        print(json.dumps(verify(a.verify)))
        return
    if a.variant == "tuned" or a.calibrate:
        torch.set_flush_denormal(True)
    tuning, tried = None, None
    if a.calibrate or (a.variant == "tuned" and not a.tuning):
        tuning, tried = calibrate(a.network, a.batch)
    elif a.variant == "tuned":
        tuning = dict(t.split("=") for t in a.tuning.split(","))
        for knob, allowed in TUNING.items():
            if tuning.get(knob) not in allowed:
                p.error(f"--tuning: {knob} must be one of {', '.join(allowed)}")
    if a.calibrate:
        print(json.dumps({"network": a.network, "tuning": tuning, "tried_cpu_ms": tried}))
        return
    run = Run(a.network, tuning, random_batches(a.batch))
    run.measure(a.warmup)
    wall, cpu = run.measure(a.steps)
    capability = [l.split(":")[1].strip() for l in torch.__config__.show().splitlines() if "CPU capability" in l]
    print(json.dumps({
        "network": a.network, "variant": a.variant, "tuning": tuning, "torch": torch.__version__, "capability": "".join(capability),
        "batch": a.batch, "threads": a.threads, "steps": a.steps, "step_ms": round(wall, 4), "cpu_ms": round(cpu, 4),
        "samples_per_second": round(1e3 * a.batch / wall), "parameters": run.parameters()}))


if __name__ == "__main__":
    main()
