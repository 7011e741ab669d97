// Package vectors reads files of vectors.
//
//	.fvecs .bvecs .ivecs   rows of a dimension and as many values, http://corpus-texmex.irisa.fr
//	.npy                   one array of NumPy
//	.npz                   a zip file of such arrays, each under its name
//
// Caveats. Memory grows with what is read, not with what a header promises. All rows of a file have one length, 1 to index.MaxDimension.
package vectors
