package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/akin-search/akin/train"
)

// readPairs reads a file of pairs, all of items of d.
func readPairs(path string, d train.Dataset) (pairs []train.Pair, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if pairs, err = train.ReadPairs(f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	known := make(map[string]bool, d.Len())
	for _, id := range d.IDs {
		known[id] = true
	}
	for i, p := range pairs {
		for _, id := range []string{p.A, p.B} {
			if !known[id] {
				return nil, fmt.Errorf("%w: %s, pair %d: the data has no item %q; its ids are like %q", train.ErrDataset, path, i+1, id, d.IDs[0])
			}
		}
	}
	return pairs, nil
}

// lossHelp says what can be learned from, and what temperature and margin mean there.
const lossHelp = `Losses (--loss). The defaults of temperature and margin are good where you do not know what they mean.
  supcon            classes; all of a class together, away from all else        temperature 0.1: lower looks more at the nearest
  triplet           classes; a class nearer than another by a margin            margin 0.2 of the squared distance, at most 2
  multi-similarity  classes; pairs weighed by how hard they are                 temperature 0.02 = 1/beta, margin 0.5 = lambda, a cosine
  arcface           classes; each has a direction, kept at an angle to others   temperature 0.0625 = 1/s, margin 0.3 radians
  contrastive       pairs; dissimilar ones at a distance                        margin 1, at most 2: the distance
  pairs             pairs with a score each; cosines that go with the scores    neither
  ntxent            no labels; two views of a picture against all others        temperature 0.1
  moco              no labels; the same with a queue of past views              temperature 0.1
  vicreg            no labels and no negatives; views alike, components not     neither
  semi              some labels; ntxent of all items and supcon of those known  temperature 0.2
  one-class         no labels, all is normal; copies turned, cut up, bent       temperature 0.5
                    and the like play what is not
Negatives (--negatives), the default first:
  supcon, multi-similarity, arcface   batch: all of the batch; memory: also those of the last batches (not arcface); index: half of a
                                      batch are items that the network mixes up, found in a graph index as it learns
  triplet                             semi-hard, batch, random, hard, distance: which of the batch; memory; index
  contrastive                         random pairs; hard, semi-hard, distance: which of the batch; index`
