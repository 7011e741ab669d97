package index

import (
	"math"
	"sort"
)

// Recall@k is the share of the k nearest points that a search finds. It is measured by asking some queries exactly, too, and
// its interval says how far the recall of all queries may be from that of those few.

// recallBuckets are the k that recall is measured at. A search for another k is counted, and planned, with the next larger, or
// with one that is a tenth less at most: who asks for the ten nearest of a point looks for eleven.
var recallBuckets = [...]int{1, 3, 10, 30, 100, 300, 1000, 3000, MaxK}

// recallBucket returns the place of the bucket of k.
func recallBucket(k int) int {
	return sort.Search(len(recallBuckets)-1, func(i int) bool { return k <= recallBuckets[i]+recallBuckets[i]/10 })
}

// The intervals hold with these probabilities: quantiles of the normal distribution.
const (
	z95      = 1.959964 // both bounds, 95 %
	z95lower = 1.644854 // the lower bound alone, 95 %
)

// wilson returns the bounds of a share that was seen in so many trials (Wilson, Journal of the American Statistical
// Association 22, 1927): the shares p for which |share − p| is z standard deviations √(p·(1−p)/trials).
func wilson(share, trials, z float64) (low, high float64) {
	if trials <= 0 {
		return 0, 1
	}
	zz := z * z / trials
	middle := share + zz/2
	half := math.Sqrt(zz*share*(1-share) + zz*zz/4)
	return max(0, (middle-half)/(1+zz)), min(1, (middle+half)/(1+zz))
}

// tally counts what queries found of what they should have.
type tally struct {
	queries, found, wanted int
	squares                float64 // Σ of the squared shares of the queries
}

func (t *tally) add(found, wanted int) {
	t.queries++
	t.found += found
	t.wanted += wanted
	share := float64(found) / float64(wanted)
	t.squares += share * share
}

func (t *tally) remove(found, wanted int) {
	t.queries--
	t.found -= found
	t.wanted -= wanted
	share := float64(found) / float64(wanted)
	t.squares -= share * share
}

// recall is the share of all hits together.
func (t *tally) recall() float64 { return float64(t.found) / float64(t.wanted) }

// fewMisses: below, the spread of the queries' shares says nothing.
const fewMisses = 10

// design returns how many hits tell as much as one would by itself, the design effect (Kish, Survey Sampling, 1965): the hits
// of a query are missed together or not at all, more or less, so that k hits of one query are fewer than k trials. It is the
// variance of the queries' shares over that of as many independent trials, 1 to k. Where too few were missed to tell, it is
// otherwise.
func (t *tally) design(otherwise float64) float64 {
	if t.wanted-t.found < fewMisses {
		return otherwise
	}
	n, p := float64(t.queries), t.recall()
	k := float64(t.wanted) / n
	variance := max(0, t.squares/n-p*p)
	return min(max(1, variance*k/(p*(1-p))), k)
}

// matches counts the hits that are among the nearest by exact search: under the same id, or as near as the last of these.
func matches(hits, nearest []Hit) int {
	if len(nearest) == 0 {
		return 0
	}
	among := make(map[string]bool, len(nearest))
	for _, h := range nearest {
		among[h.ID] = true
	}
	n, edge := 0, nearest[len(nearest)-1].Distance
	for _, h := range hits {
		if h.Distance <= edge || among[h.ID] { // the two searches may round differently
			n++
		}
	}
	return min(n, len(nearest))
}
