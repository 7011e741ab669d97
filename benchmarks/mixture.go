package benchmarks

import (
	"context"
	"math/rand/v2"

	"github.com/akin-search/akin/encoder/kernel"
	"github.com/akin-search/akin/index"
)

const (
	mixtureClusters = 100
	mixtureSpread   = 0.5 // standard deviation of a cluster where the centres' is 1
)

// drawMixture draws points and queries from one Gaussian mixture.
func drawMixture(ctx context.Context, s Source) (Data, error) {
	rng := rand.New(rand.NewPCG(s.Seed, 0x676d6d)) // "gmm"
	centers := kernel.NewMatrix(mixtureClusters, s.Dimension)
	for i := range centers.Data {
		centers.Data[i] = float32(rng.NormFloat64())
	}
	n := s.Points
	if s.Limit > 0 {
		n = min(n, s.Limit)
	}
	draw := func(rows int) ([][]float32, error) {
		m := kernel.NewMatrix(rows, s.Dimension)
		for i := range rows {
			if i%4096 == 0 && ctx.Err() != nil {
				return nil, ctx.Err()
			}
			row := m.Row(i)
			for j, c := range centers.Row(rng.IntN(mixtureClusters)) {
				row[j] = c + mixtureSpread*float32(rng.NormFloat64())
			}
		}
		return rowsOf(m), nil
	}
	d := Data{Name: GMM, Metric: index.L2}
	var err error
	if d.Queries, err = draw(s.Queries); err != nil {
		return Data{}, err
	}
	d.Base, err = draw(n)
	return d, err
}
