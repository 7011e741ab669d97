package index

import "errors"

// Sentinels. Every error of this package wraps one of them with the value that
// was refused, the limit and the mend, or is an error of the disk below.
var (
	// ErrInvalid: a value outside its limits (k, ef, ids, names, options, payloads).
	ErrInvalid = errors.New("invalid value")
	// ErrDimension: a vector whose length is not the index's dimension.
	ErrDimension = errors.New("wrong dimension")
	// ErrNotFinite: a vector with NaN, infinity or a length that float32 distances cannot hold.
	ErrNotFinite = errors.New("vector is not finite")
	// ErrZeroVector: the zero vector has no direction, so no cosine.
	ErrZeroVector = errors.New("zero vector has no direction")
	// ErrNotFound: no such point or collection.
	ErrNotFound = errors.New("not found")
	// ErrExists: a collection of that name exists.
	ErrExists = errors.New("already exists")
	// ErrModel: vectors of one model meant for data of another.
	ErrModel = errors.New("model mismatch")
	// ErrAlpha: a false-alarm rate outside (0,1), or below what the calibration can support.
	ErrAlpha = errors.New("alpha out of range")
	// ErrNotCalibrated: a detector without clusters or calibration scores.
	ErrNotCalibrated = errors.New("not calibrated")
	// ErrFull: a write, or a store, that takes more memory than StoreOptions.MaxMemory.
	ErrFull = errors.New("memory limit reached")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store is closed")
	// ErrLocked: another process, or another Store of this one, has the directory open.
	ErrLocked = errors.New("store is in use")
	// ErrFormat: data written in a format that this version does not know.
	ErrFormat = errors.New("unknown format")
	// ErrCorrupt: stored bytes that fail their checksum or contradict themselves.
	ErrCorrupt = errors.New("data is corrupt")
)
