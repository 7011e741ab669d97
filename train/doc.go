// Package train learns an encoder from a user's own items: Run turns a data set into batches of pairs or classes, augments them, takes
// gradient steps on a contrastive loss, and returns a model; evaluation says how good its embeddings are.
//
//	Dataset ──Sampler──► Batch ──Augmentation──► features ──network──► unit embeddings ──Loss──► dLoss/dEmbedding
//	(MNIST,  (PK, Pairs,  items,                                ▲                                     │
//	 Folder,  Views)      labels                                └── weights ◄── Adam, Schedule ◄──────┘
//	 IDX)
//	evaluation: MeasureDownstream (all that one embedding is good for), KNNAccuracy, VerifyPairs, AUROC, RecallAtK
//
// Which sampler feeds which loss: SupCon, TripletLoss, MultiSimilarity, ArcFace and MinedContrastive take PK, whose classes come equally
// often however uneven they are; NTXent and VICReg take Views, MoCo Each, Contrastive Pairs or GivenPairs. Options.Negatives says where
// negatives come from: the batch, a miner, a memory of the last batches, or a graph index over the embeddings that training makes.
//
// Caveats:
//   - A Dataset holds its raw items in memory; subsets share them.
//   - Losses, samplers, augmenters and random sources are for one goroutine each.
//   - The same seed and data give the same bits on one machine architecture. Between architectures float32 sums may differ, because
//     the compiler may fuse a multiplication with an addition.
package train
