// Package server answers over HTTP: what is this like, and is it unlike everything known.
//
//	TCP ─► listener ─► fasthttp ─► route ─► body ─► object ─► vector ─► index ─► envelope
//	       conn.go     fiber       server   body    json      input     query    envelope
//	       lingers,                         JSON    strict,   vector,   points
//	       tracks                           or form names     id or     anomaly  any error ─► errors.go ─► status
//	                                                the field input
//
// Field names follow Qdrant's. A success is {"result": …, "status": "ok", "time": seconds}, a refusal is
// {"status": {"error": "…"}, "time": seconds} with a 4xx that names the value, the limit and the mend; this holds for unknown
// paths, wrong methods and bodies beyond the limit, too. A 5xx is the server's own fault: its cause is logged and not shown.
//
// # Endpoints
//
//	POST /search                          nearest points of the default collection
//	POST /collections/{c}/points/query    the same in collection c
//	POST /collections/{c}/points/query/batch  many such searches at once, answered in their order, all or none
//	POST /anomaly                         verdict of the default collection's detector
//	POST /collections/{c}/anomaly         the same in collection c
//	POST /anomaly/batch                   verdicts of many at once, with a false-discovery rate if asked for
//	POST /anomaly/feedback                an alarm was wrong, or right: the point goes to the known ones, or aside
//	POST /classify                        the class, or none of these
//	POST /calibrate                       keep points aside and fit the detector anew
//	  (all four, too, under /collections/{c})
//	POST /embed                           the vector of an input
//	POST /verify-pair                     whether two inputs, or an input and some that were enrolled, are of one class
//	PUT  /collections/{c}/points          add and replace points
//	POST /collections/{c}/points/delete   remove points by ids or by a filter
//	GET  /collections, /collections/{c}   what there is
//	GET  /healthz, /livez, /readyz        health
//	GET  /metrics                         text for Prometheus, without an envelope
//
// Inputs are judged by a model's patches where it has some (Options.Surface): "by": "patches", and the score is the sum of in_places, how bad
// the worst places are, and as_a_whole, how unlike the known pictures it is, in spreads above what is usual, -2 at least. They are calibrated by
// pictures held out in training, and by those sent as inputs to /calibrate, or to /anomaly/feedback with into calibration; "patches" in these
// answers says by how many.
//
// An explanation of a verdict on a sound names the stretch without which it is least unusual, in seconds: time_span,
// null where taking any out does not lower the score.
//
// A search with params.recall_target is answered with the least ef that reaches it, as the collection has measured, or exactly:
// ef_used, 0 for exact, recall_estimate and exact_reason tell which and why. The live recall of the searches that were asked, and what
// the targets rest on, stand in GET /collections/{c} under recall.
//
// What is asked about is a vector, the id of a point, or an input (base64, or a file of a multipart form) that the server's
// encoder embeds. Searches take a filter (ParseFilter has its form). A form's other fields are those of the JSON object, a value each, as JSON; strings stand bare.
//
// # Caveats
//
// A write of more than index.MaxAtomicPoints points or index.MaxAtomicBytes bytes is checked as a whole but stored in parts: one
// that fails with a 5xx may be half there; sent again it does no harm.
//
// A field that is null counts as not given. Ids are strings; a JSON integer is taken as its decimal digits. A body is held in
// memory, up to Options.BodyLimit a connection. A client that goes away is noticed only when the answer is written
// (fasthttp reads nothing meanwhile): Options.RequestTimeout bounds the work done for nobody. HTTP/1.1 only; there is no
// authentication yet, so listen on the loopback or behind a proxy that has it.
package server
