// Package indextest is the one test-suite that every index.Index passes, whatever is inside.
//
//	Engine{New, Recall} ──► Run ──► for each metric: edges ─► distances ─► model ─► concurrency ─► recall
//	                                                     └──── compared with an Oracle ────┘
//
// The Oracle is a map and a loop in float64. Random tests log their seed.
//
// Caveat: approximate engines may miss points; what they return is checked in full, how much they miss against Engine.Recall.
package indextest
