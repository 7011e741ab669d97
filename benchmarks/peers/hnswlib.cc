// hnswlib behind the protocol of benchmarks/peer.go: commands on stdin, answers on stdout, so that akin bench recall can take turns
// with it. See README.md for how to compile it.
//
//	load METRIC POINTS DIMENSION QUERIES   and then as many float32 of points, of queries   → "ok"
//	build M EF_CONSTRUCTION SEED THREADS   → "ok WALL_NS CPU_NS BYTES"; of vectors and links, like index.Sized
//	hits K EF                              → "ok" and K uint32 a query, nearest first
//	time K EF CORE                         → "ok CPU_NS" and a uint32 of nanoseconds a query, by the wall clock
//
// Binary numbers are little-endian. METRIC is l2, cosine (rows come at unit length: the inner product) or dot. CORE is the one to
// run on, -1 for any. After an error there is one line, "error WHAT", and the process ends.
#include <hnswlib/hnswlib.h>
#include <sched.h>
#include <time.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>

using Graph = hnswlib::HierarchicalNSW<float>;

static void fail(const std::string &what) {
    printf("error %s\n", what.c_str());
    fflush(stdout);
    exit(1);
}

static uint64_t now(clockid_t clock) {
    timespec t;
    clock_gettime(clock, &t);
    return uint64_t(t.tv_sec) * 1000000000 + t.tv_nsec;
}

static std::vector<float> readRows(size_t rows, size_t dimension) {
    std::vector<float> v(rows * dimension);
    if (fread(v.data(), sizeof(float), v.size(), stdin) != v.size()) fail("the rows are cut short");
    return v;
}

struct Peer {
    size_t points = 0, dimension = 0, queries = 0;
    std::vector<float> base, asked;
    std::unique_ptr<hnswlib::SpaceInterface<float>> space;
    std::unique_ptr<Graph> graph;

    void load(const std::string &metric, size_t n, size_t dim, size_t q) {
        points = n, dimension = dim, queries = q;
        base = readRows(n, dim), asked = readRows(q, dim);
        graph.reset();
        if (metric == "l2")
            space.reset(new hnswlib::L2Space(dim));
        else if (metric == "cosine" || metric == "dot")
            space.reset(new hnswlib::InnerProductSpace(dim));
        else
            fail("metric " + metric + ": use l2, cosine or dot");
        printf("ok\n");
    }

    void build(size_t m, size_t efConstruction, size_t seed, size_t threads) {
        if (!space) fail("build before load");
        graph.reset();
        uint64_t wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
        graph.reset(new Graph(space.get(), points, m, efConstruction, seed));
        graph->addPoint(base.data(), 0); // alone: the others start there
        std::atomic<size_t> next{1};
        auto work = [&] {
            for (size_t i = next++; i < points; i = next++) graph->addPoint(&base[i * dimension], i);
        };
        if (threads < 2) {
            work();
        } else {
            std::vector<std::thread> workers;
            for (size_t t = 0; t < threads; t++) workers.emplace_back(work);
            for (auto &w : workers) w.join();
        }
        wall = now(CLOCK_MONOTONIC) - wall, cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        // The record without its label, the pointer to the upper layers and their lists; neither labels, their map nor locks.
        size_t bytes = points * (graph->size_links_level0_ + graph->data_size_ + sizeof(char *));
        for (int level : graph->element_levels_) bytes += level * graph->size_links_per_element_;
        printf("ok %lu %lu %lu\n", wall, cpu, bytes);
    }

    void hits(size_t k, size_t ef) {
        if (!graph) fail("hits before build");
        graph->setEf(ef);
        printf("ok\n");
        std::vector<uint32_t> ids(k);
        for (size_t i = 0; i < queries; i++) {
            auto found = graph->searchKnn(&asked[i * dimension], k);
            if (found.size() != k) fail("fewer hits than asked for");
            for (size_t j = k; j-- > 0; found.pop()) ids[j] = found.top().second;
            fwrite(ids.data(), sizeof(uint32_t), k, stdout);
        }
    }

    void time(size_t k, size_t ef, int core) {
        if (!graph) fail("time before build");
        if (core >= 0) {
            cpu_set_t set;
            CPU_ZERO(&set);
            CPU_SET(core, &set);
            if (sched_setaffinity(0, sizeof set, &set) != 0) fail("cannot be pinned to core " + std::to_string(core));
        }
        graph->setEf(ef);
        std::vector<uint32_t> took(queries);
        uint64_t cpu = now(CLOCK_PROCESS_CPUTIME_ID), last = now(CLOCK_MONOTONIC);
        for (size_t i = 0; i < queries; i++) {
            auto found = graph->searchKnn(&asked[i * dimension], k);
            if (found.empty()) fail("no hits");
            uint64_t t = now(CLOCK_MONOTONIC);
            took[i] = uint32_t(std::min<uint64_t>(t - last, UINT32_MAX));
            last = t;
        }
        cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        printf("ok %lu\n", cpu);
        fwrite(took.data(), sizeof(uint32_t), took.size(), stdout);
    }
};

int main() {
    Peer peer;
    char line[256], word[16], metric[16];
    while (fgets(line, sizeof line, stdin)) {
        size_t a, b, c, d;
        int core;
        if (sscanf(line, "load %15s %zu %zu %zu", metric, &a, &b, &c) == 4)
            peer.load(metric, a, b, c);
        else if (sscanf(line, "build %zu %zu %zu %zu", &a, &b, &c, &d) == 4)
            peer.build(a, b, c, d);
        else if (sscanf(line, "hits %zu %zu", &a, &b) == 2)
            peer.hits(a, b);
        else if (sscanf(line, "time %zu %zu %d", &a, &b, &core) == 3)
            peer.time(a, b, core);
        else
            fail(std::string("command ") + (sscanf(line, "%15s", word) == 1 ? word : "") + ": use load, build, hits or time");
        fflush(stdout);
    }
}
