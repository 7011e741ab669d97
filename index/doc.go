// Package index finds the stored vectors nearest to a query, keeps points on disk, and tells vectors like the known ones from
// others.
//
//	points ──► Collection ──► badger: records, sequence numbers, snapshots, detector   (the truth)
//	               └────────► Index: graph │ flat │ coder                              (rebuilt or restored by Open)
//	               └────────► catalogue of payload fields and labels                   (filled by the first filter or write)
//	query ───► Collection.Search ──► [ID Distance Score]…          Params.Filter: only points that pass
//	known ───► FitDetector: clusters, covariance, choice of the score ──► scores of held-out vectors ──► Detector
//	vector ──► Detector.Verdict ──► score ──► p-value ──► anomaly?     Collection.Watch: alarm rate, drift
//
// New makes an Index in memory, Open a Store of collections on disk.
//
// # Engines
//
// EngineGraph is a hierarchical navigable small world with recall@10 of 0.99 and more at the default EF, for data with some
// structure; EngineFlat compares with everything and misses nothing; EngineCoder wraps github.com/coder/hnsw for comparison.
// ReadCoder and Collection.ExportCoder exchange graphs that it saved. All pass the suite of package indextest. A graph depends on its seed and on the calls that made it, not on the number of
// threads, and on the CPU tier only through the last bits of distances.
//
// # Quantisation
//
// A graph may walk by codes of a byte a component instead of by vectors (Options.Quantization, Config.Quantization): int8 keeps
// them beside the vectors and is faster, int8-disk keeps no vectors in memory. Either way the best candidates of a walk, 2k+20 or half of EF, are
// compared by their vectors: the distances of hits are true, and what codes cost is a share of recall that is hard to measure
// (docs/decisions/0005-quantisation.md). auto picks by the dimension.
// binary adds codes of a bit a component of each link to those of int8: of long vectors searches at recall 0.99 are 1.1 to 1.2 times as fast, for twice the memory
// and two and a half times the time to build. With int8-disk a search reads its dozen candidates
// from files, exact searches read all of the store, and the codes stay fitted to the first 256 points.
//
// # Durability
//
// When Collection.Upsert or Delete returns nil, the write is on disk. The index in memory follows it. A snapshot is a file with
// all of a graph up to a sequence number; Open reads it, and deletes and inserts what came later. One that is missing, torn or
// damaged costs the time of a rebuild, which is logged, and no data. What filters are answered from is read by the first filter
// or the first write after a start. Bytes that changed on disk are an error, ErrCorrupt, at Open or when they are read; Verify
// finds, and mends, all there is (docs/decisions/0008-durability.md).
//
// Space of deleted and replaced values comes back by itself, and at once by Store.Compact. StoreOptions.MaxMemory bounds the
// memory; a write beyond it is ErrFull.
//
// # Filters
//
// Params.Filter restricts a search of a collection to points whose payload, label or id meets conditions (Filter). With Exact,
// and with the engines flat and coder, the answer is exact; the graph takes the cheaper of a walk through points that do not
// pass and a scan of those that do, with the recall of searches without a filter, wherever the points that pass lie. All
// string, number and bool fields can be filtered by, in memory of some 30 to 150 bytes a value; a point's values beyond 1000
// are read from disk by each filter, so such points should be few.
//
// # Recall
//
// Params.RecallTarget finds the EF by itself: a collection measures how much of the nearest its graph finds at which EF, with its
// own points (MeasureRecall, Plan), again and again as it changes. StoreOptions.ShadowRate has a share of the searches answered
// exactly as well; Collection.Recall tells the share they found, with its interval.
//
// # Verdicts
//
// Collection.SetAside keeps points to calibrate with; Calibrate fits a Detector to the others and turns their scores into p-values
// that bound false alarms. It follows the points by itself: half a second after the last write it is fitted again in the
// background. Which score it takes is chosen by leaving classes out, or neighbours where there is one class (docs/decisions/0015-verdicts.md). VerdictOf takes the hits
// of a search that was made anyway. Watch counts alarms and notices when what is judged is no longer like what calibrated.
//
// # Caveats
//
// With Cosine vectors are stored at unit length: Get does not return the length they had. With Dot the recall of a graph is
// lower than with the other metrics, most of all for vectors of very different lengths: raise EF. A Store is open in one
// process at a time. Snapshots are made by Close and by Collection.Snapshot, not in the background. Only EngineGraph has snapshots; the others are built at every Open,
// which takes minutes for EngineCoder with a hundred thousand points.
package index
