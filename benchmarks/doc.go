// Package benchmarks measures akin on data that you can name: how much of the truth an index finds, and how fast.
//
//	Source ──Load──► Data ──exact scan──► truth ────────────────┐
//	(mnist, gmm,      │                                         ▼
//	 files)           ├──► graph ─┐          ef 10 … 400   recall@k, QPS,
//	                  ├──► coder ─┼─search──► round after ─► p50, p99 ──► Report ──► JSON, table, plot
//	                  └──► flat  ─┘          round
//
// How to read a result:
//   - An engine is a curve, not a number: ef is the dial that buys recall with time. Compare the QPS of two engines at equal
//     recall. flat is exact and has no dial, so its "curve" is the one point with ef 0.
//   - recall@k is the share of the k hits that are at most as far away as the k-th true neighbour. A hit at the same distance
//     as that neighbour counts whichever of them it is; distances closer than float32 can tell apart are the same.
//   - qps, p50_us and p99_us are for one thread that asks one query at a time and, on Linux, stays on one core: medians over the
//     passes (qps) and the rounds. qps is by processor time, the collection of garbage included; p50 and p99 are by the wall clock. A
//     round runs every engine at every ef, so that a busy moment of the machine hits all of them: trust ratios between engines
//     of one report, not figures of two reports. More rounds help on a busy machine.
//   - at holds the qps at recall 0.95 and 0.99, read off the curve. With a peer (peers/README.md), another library in a process of
//     its own that takes turns with our engines, times_peer is the ratio to it.
//   - build_seconds depends on the threads, which the report names; builds has the processor time as well. bytes_per_vector counts vectors and links, not ids.
//   - rss_bytes is the resident set of the whole process after the build of that engine: data, truth and the engines before it
//     included. Ask for one engine to know its own. 0 where the system does not say, which a line of progress tells.
//   - max_recall is the highest of the curve: more than that no ef buys.
//
// Runbooks measure a graph in use, at one ef, and hold one figure to a bar:
//
//	churn       recall lost after 5 rounds of deleting 30 % and inserting it again: at most 0.003. After a round the points are
//	            the same as before, so that every round compares with the fresh graph, on the same queries.
//	filter      recall lost by the worst of twelve filters of 50 to 0.1 %: at most 0.01. overlap says how many of the unfiltered
//	            neighbours pass: how near, how far or how random the points really lie.
//	cold-start  median seconds from Open to the first right answer, each in a new process, the files dropped from the page cache
//	            as far as the system lets a program do that: at most 1.
//	mixed       p99 of searches beside writes over that of searches alone, the median over rounds: at most 3. Latencies are by
//	            the wall clock, so other work on the machine disturbs them. recall is about the points that stay; those that
//	            come and go count when the writer has stopped (final_recall). A hit that was deleted before is an error.
//
// Caveats:
//   - The data and all engines are in memory at once.
//   - mnist and fashion-mnist are reduced to 64 dimensions unless Source.Raw is set. The mean of the base is subtracted first, so
//     the cosine is that of the angle seen from the mean: vectors of pixels all point the same way and would hardly differ.
//
// Learn trains with several seeds and says how good the embeddings are: medians with minimum and maximum, by a protocol (ProtocolNames). With
// Validation it never looks at the test images: choose by that, and measure once without it.
//
// Anomaly trains on what is normal and says how well anomalies are told from it, on the way of the product, and whether alpha is kept: inside tells
// whether alpha lies in the 99 % interval of the rate of false alarms on the items measured on, expected whether the alarms are what so many calibration
// items make likely, which is the promise. Stream measures the watch for drift.
//
// Train, Encode and Gemm measure a training step, encoding and the matrix product; peers/ holds the same in PyTorch and OpenBLAS, and a
// runner that takes turns with them. Their networks are those of NetworkOf.
package benchmarks
