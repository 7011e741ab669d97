package main

// lossHelp says what can be learned from, and what temperature and margin mean there.
const lossHelp = `Losses (--loss). The defaults of temperature and margin are good where you do not know what they mean.
  supcon            classes; all of a class together, away from all else        temperature 0.1: lower looks more at the nearest
  triplet           classes; a class nearer than another by a margin            margin 0.2 of the squared distance, at most 2
  multi-similarity  classes; pairs weighed by how hard they are                 temperature 0.02 = 1/beta, margin 0.5 = lambda, a cosine
  arcface           classes; each has a direction, kept at an angle to others   temperature 0.0625 = 1/s, margin 0.3 radians
  contrastive       pairs; dissimilar ones at a distance                        margin 1, at most 2: the distance
  ntxent            no labels; two views of a picture against all others        temperature 0.1
  moco              no labels; the same with a queue of past views              temperature 0.1
  vicreg            no labels and no negatives; views alike, components not     neither
Negatives (--negatives), the default first:
  supcon, multi-similarity, arcface   batch: all of the batch; memory: also those of the last batches (not arcface); index: half of a
                                      batch are items that the network mixes up, found in a graph index as it learns
  triplet                             semi-hard, batch, random, hard, distance: which of the batch; memory; index
  contrastive                         random pairs; hard, semi-hard, distance: which of the batch`
