package index

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
)

// The score of a detector is chosen without any anomaly: classes are left out in turn, and play it. All is done with known
// vectors: what calibrates must not shape the detector. Known vectors that are kept aside for it stand for new ones.

const (
	chooseAside  = 1000   // known vectors that are kept aside, at most a quarter of all
	chooseRows   = 20_000 // of the others that the rest is fitted to
	chooseGroups = 10     // groups that classes are left out in
	chooseLeast  = 40     // known vectors that it takes
	// Classes that an encoder has learned lie apart, each of them: left out, they flatter the distance to the nearest center, as no stranger does
	// (docs/decisions/0015-verdicts.md). So ScoreCombined is taken unless it leaves more than combinedLeaves undone, 1−AUROC, and another less than combinedShare of that.
	combinedLeaves = 0.05
	combinedShare  = 0.1
)

// choice is what leaving classes out said.
type choice struct {
	figures [len(scoreNames)]float64 // mean AUROC by ScoreKind, 0 where there is none
	scale   scale
}

// best returns the kind with the highest figure of some, the first of equals.
func (c *choice) best(kinds ...ScoreKind) ScoreKind {
	best := kinds[0]
	for _, k := range kinds {
		if c.figures[k] > c.figures[best] {
			best = k
		}
	}
	return best
}

// chooseAll compares the bounds of the number of clusters, where it is not given, and the scores with the best of them.
func (s space) chooseAll(ctx context.Context, rows []float32, classOf []int, classes int, o DetectorOptions) (best choice, most int, err error) {
	o.most = usualMost
	if best, err = s.choose(ctx, rows, classOf, classes, o); err != nil || o.ClustersPerClass > 0 || best.figures[ScoreCluster] == 0 {
		return best, usualMost, err
	}
	usual := best
	best = choice{}
	for _, m := range mostClusters {
		c := usual
		if o.most = m; m != usualMost {
			if c, err = s.choose(ctx, rows, classOf, classes, o); err != nil {
				return best, m, err
			}
		}
		if c.figures[ScoreCluster] > best.figures[ScoreCluster] {
			best, most = c, m
		}
	}
	return best, most, nil
}

// choose compares the scores on prepared rows, whose classes are 0 to classes−1.
func (s space) choose(ctx context.Context, rows []float32, classOf []int, classes int, o DetectorOptions) (c choice, err error) {
	n := len(classOf)
	for i := range c.scale.spread {
		c.scale.spread[i] = 1
	}
	if n < chooseLeast {
		return c, nil
	}
	order := rand.New(rand.NewPCG(o.Seed, math.MaxUint64)).Perm(n)
	aside := order[:min(n/4, chooseAside)]
	fitted := order[len(aside):min(n, len(aside)+chooseRows)]
	// One class is first clustered: its clusters play the classes.
	groupOf := make([]int, n)
	if classes > 1 {
		for i, class := range classOf {
			groupOf[i] = class % chooseGroups
		}
	} else if groupOf, err = s.pseudoClasses(ctx, rows, fitted, o); err != nil {
		return c, err
	}
	groups := 1 + slices.Max(groupOf)

	// The rest, fitted: clusters of each class, neighbours, scatters by group.
	rowsOf := make([][]float32, max(classes, groups))
	group := make([]int, len(rowsOf)) // of a class
	for _, i := range fitted {
		class := classOf[i]
		if classes == 1 {
			class = groupOf[i]
		}
		group[class] = groupOf[i]
		rowsOf[class] = append(rowsOf[class], rows[i*s.stride:(i+1)*s.stride]...)
	}
	m, err := s.fitClusters(ctx, rowsOf, o)
	if err != nil {
		return c, err
	}
	near, err := s.nearestByGroup(ctx, rows, groupOf, groups, fitted, aside, o.Threads)
	if err != nil {
		return c, err
	}
	var all scatter
	var means, mean []float32
	var likely [][]float64 // of a row that is kept aside, the least score of its distributions by group
	byGroup := make([]scatter, groups)
	if s.dim <= maxWhite {
		var scatters []scatter
		means, mean, scatters = m.spread(rowsOf)
		for class, sc := range scatters {
			byGroup[group[class]].add(sc, 1)
			all.add(sc, 1)
		}
		if g := s.fitGaussians(rowsOf, mean, o.Threads); g != nil {
			likely = g.leastByGroup(rows, aside, group, groups, o.Threads)
		}
	}

	// left is the model without a group; groups stands for none.
	measure := func(left int) []parts {
		part := clusterModel{space: s}
		var images []float32
		for i, class := range m.classOf {
			if group[class] != left {
				part.addClass(0, m.centers[i*s.stride:(i+1)*s.stride])
				if means != nil {
					images = append(images, means[i*s.stride:(i+1)*s.stride]...)
				}
			}
		}
		if means != nil && len(images) > 0 {
			var sc scatter
			sc.add(all, 1)
			if left < groups {
				sc.add(byGroup[left], -1)
			}
			if part.white = s.whiten(sc, mean); part.white != nil {
				part.white.place(images)
			}
		}
		out, room := make([]parts, len(aside)), part.room()
		for i, row := range aside {
			x := rows[row*s.stride : (row+1)*s.stride]
			part.toClasses(x, room, out[i][partCluster:][:1])
			if part.white != nil {
				part.mahalanobisToClasses(x, room, out[i][partMahalanobis:][:1])
			}
			if likely != nil {
				out[i][partGaussian] = leastBut(likely[i], left)
			}
			out[i][partNeighbors] = near.score(i, left)
		}
		return out
	}
	c.scale = scaleOf(measure(groups))

	counted := make([]int, groups)
	for _, i := range aside {
		counted[groupOf[i]]++
	}
	taken := make([]choice, groups)
	workers(o.Threads, groups, func(left int) {
		if counted[left] == 0 || counted[left] == len(aside) || ctx.Err() != nil {
			return
		}
		measured := measure(left)
		var normal []parts
		for i, row := range aside {
			if groupOf[row] != left {
				normal = append(normal, measured[i])
			}
		}
		scale := scaleOf(normal)
		for kind := ScoreCluster; kind <= ScoreCombined; kind++ {
			var in, out []float64
			for i, row := range aside {
				x := scale.score(kind, measured[i])
				if groupOf[row] == left {
					out = append(out, x)
				} else {
					in = append(in, x)
				}
			}
			taken[left].figures[kind] = auroc(in, out)
		}
	})
	rounds := 0.0
	for left := range taken {
		if taken[left].figures[ScoreCluster] == 0 && taken[left].figures[ScoreNeighbors] == 0 {
			continue
		}
		rounds++
		for kind, x := range taken[left].figures {
			c.figures[kind] += x
		}
	}
	for kind := range c.figures {
		c.figures[kind] /= max(1, rounds)
	}
	if means == nil || all.n < 2 {
		c.figures[ScoreMahalanobis], c.figures[ScoreGaussian], c.figures[ScoreCombined] = 0, 0, 0
	}
	return c, ctx.Err()
}

// pseudoClasses clusters the fitted rows, and says to which cluster each row belongs.
func (s space) pseudoClasses(ctx context.Context, rows []float32, fitted []int, o DetectorOptions) ([]int, error) {
	some := make([]float32, 0, len(fitted)*s.stride)
	for _, i := range fitted {
		some = append(some, rows[i*s.stride:(i+1)*s.stride]...)
	}
	r := rand.New(rand.NewPCG(o.Seed, math.MaxUint64-1))
	k, err := s.count(ctx, some, chooseGroups, r)
	if err != nil {
		return nil, err
	}
	centers, err := s.cluster(ctx, some, min(max(k, 4), chooseGroups), o.Iterations, r)
	if err != nil {
		return nil, err
	}
	of, _ := s.assign(rows, centers)
	return of, nil
}

// byGroup holds the least distances of some rows to the rows of each group, ascending.
type byGroup struct {
	groups   int
	distance []float32 // DetectorNeighbors for each group of each row; +Inf where the group has fewer
}

func (s space) nearestByGroup(ctx context.Context, rows []float32, groupOf []int, groups int, fitted, aside []int, threads int) (byGroup, error) {
	const k = DetectorNeighbors
	near := byGroup{groups, slices.Repeat([]float32{float32(math.Inf(1))}, len(aside)*groups*k)}
	all := make([]float32, 0, len(fitted)*s.stride)
	for _, i := range fitted {
		all = append(all, rows[i*s.stride:(i+1)*s.stride]...)
	}
	workers(threads, len(aside), func(i int) {
		if ctx.Err() != nil {
			return
		}
		var out [scanBlock]float32
		row := rows[aside[i]*s.stride : (aside[i]+1)*s.stride]
		for first := 0; first < len(fitted); first += scanBlock {
			count := min(scanBlock, len(fitted)-first)
			s.distances(row, all[first*s.stride:], blockRows[:count], out[:], nil)
			for j, d := range out[:count] {
				best := near.distance[(i*groups+groupOf[fitted[first+j]])*k:][:k]
				if d >= best[k-1] {
					continue
				}
				at := k - 1
				for ; at > 0 && best[at-1] > d; at-- {
					best[at] = best[at-1]
				}
				best[at] = d
			}
		}
		for j, d := range near.distance[i*groups*k : (i+1)*groups*k] {
			near.distance[i*groups*k+j] = s.hit("", d).Distance
		}
	})
	return near, ctx.Err()
}

// score is the mean distance of row i to its nearest rows of all groups but one.
func (b *byGroup) score(i, left int) float64 {
	const k = DetectorNeighbors
	var best []float32
	for g := range b.groups {
		if g != left {
			best = append(best, b.distance[(i*b.groups+g)*k:][:k]...)
		}
	}
	slices.Sort(best)
	var sum, n float64
	for _, d := range best[:min(k, len(best))] {
		if !math.IsInf(float64(d), 1) {
			sum += float64(d)
			n++
		}
	}
	if n == 0 {
		return math.MaxFloat64
	}
	return sum / n
}

// leastByGroup returns for each of some rows the least score of the classes of each group; group is of a class.
func (g *gaussians) leastByGroup(rows []float32, some, group []int, groups, threads int) [][]float64 {
	out := make([][]float64, len(some))
	stride := g.stride
	workers(threads, len(some), func(i int) {
		out[i] = slices.Repeat([]float64{math.MaxFloat64}, groups)
		x, square := g.centered(rows[some[i]*stride:][:stride])
		for class := range g.classes {
			least := &out[i][group[class]]
			*least = min(*least, g.score(class, x, square))
		}
	})
	return out
}

// leastBut is the least of x but for one place.
func leastBut(x []float64, left int) float64 {
	least := math.MaxFloat64
	for i, v := range x {
		if i != left {
			least = min(least, v)
		}
	}
	return least
}

// auroc is the probability that one of out is larger than one of in, and half of that that they are equal (Mann & Whitney 1947).
func auroc(in, out []float64) float64 {
	slices.Sort(in)
	var wins float64
	for _, x := range out {
		below, _ := slices.BinarySearch(in, x)
		equal := below
		for equal < len(in) && in[equal] == x {
			equal++
		}
		wins += float64(below) + float64(equal-below)/2
	}
	return wins / float64(len(in)) / float64(len(out))
}
