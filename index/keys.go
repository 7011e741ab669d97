package index

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// The keys of a store. NUMBER is a collection's, 4 bytes big endian, never used twice.
//
//	akin                            the store's format
//	next                            the next NUMBER
//	c NAME                          a collection's NUMBER and Config
//	flush                           written and dropped to make badger write out its memory (compact.go)
//	x NUMBER                        a dropped collection whose records are still to be deleted
//	p NUMBER ID                     a point
//	r NUMBER ID                     its raw input
//	q NUMBER                        the last sequence number
//	h NUMBER ID                     a point that is kept aside (aside.go)
//	d NUMBER                        the detector
//	e NUMBER                        the curve of recall over ef
//	w NUMBER                        what is known of the verdicts (watch_record.go)
//	m NUMBER                        the manifest of the snapshot
//	s NUMBER …                      a chunk of a snapshot of manifest version 1; deleted when it is found
const (
	keyFormat = "akin"
	keyNext   = "next"
	keyFlush  = "flush"

	prefixConfig  = 'c'
	prefixDropped = 'x'

	recordPoint    = 'p'
	recordRaw      = 'r'
	recordSequence = 'q'
	recordAside    = 'h'
	recordDetector = 'd'
	recordCurve    = 'e'
	recordWatch    = 'w'
	recordManifest = 'm'
	recordChunk    = 's'
)

// recordsOfCollection are the prefixes that a NUMBER follows.
var recordsOfCollection = []byte{recordPoint, recordRaw, recordAside, recordSequence, recordDetector, recordCurve, recordWatch, recordManifest, recordChunk}

func numberKey(prefix byte, number uint32) []byte {
	return appendNumber(make([]byte, 0, 5), prefix, number)
}

func pointKey(prefix byte, number uint32, id string) []byte {
	return append(appendNumber(make([]byte, 0, 5+len(id)), prefix, number), id...)
}

func appendNumber(key []byte, prefix byte, number uint32) []byte {
	return binary.BigEndian.AppendUint32(append(key, prefix), number)
}

// getSealed returns the content of a sealed record that belongs to its key; nil when there is none.
func getSealed(txn *badger.Txn, key []byte, k recordKind) ([]byte, error) {
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading key %q: %w", key, err)
	}
	record, err := item.ValueCopy(nil)
	if err != nil {
		return nil, fmt.Errorf("reading key %q: %w", key, err)
	}
	content, err := unseal(record, k, string(key))
	if err != nil {
		return nil, fmt.Errorf("key %q: %w", key, err)
	}
	return content, nil
}

// deletePrefix deletes all keys with a prefix, in several transactions.
func (s *Store) deletePrefix(prefix []byte) error {
	s.writing.RLock()
	defer s.writing.RUnlock()
	garbage := 0
	batch := s.db.NewWriteBatch()
	defer batch.Cancel()
	err := s.view(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			if err := batch.Delete(it.Item().KeyCopy(nil)); err != nil {
				return err
			}
			garbage += large(it.Item())
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("deleting keys with prefix %q: %w", prefix, err)
	}
	if err := batch.Flush(); err != nil {
		return fmt.Errorf("deleting keys with prefix %q: %w", prefix, err)
	}
	s.litter(garbage)
	return nil
}
