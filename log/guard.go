package log

import (
	"github.com/edri-io/edri/store"
)

// guarded runs what touches the pages of the bbolt file at path; see
// [store.Guarded].
func guarded(path string, fn func() error) error { return store.Guarded(path, fn) }

// corrupt returns an error that matches store.ErrCorrupt and names the place.
func corrupt(path, bucket string, key []byte, detail string) error {
	return &store.CorruptError{Path: path, Table: bucket, Key: append([]byte(nil), key...), Detail: detail}
}
