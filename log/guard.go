package log

import (
	"fmt"
	"runtime/debug"

	"github.com/edri-io/edri/store"
)

// guarded runs what touches the pages of the bbolt file at path. Damaged pages
// make bbolt panic, or touch memory that no file backs; both come out as
// store.ErrCorrupt. What fn returned in slices may be touched outside once it
// was read inside, as checking a row's CRC does.
func guarded(path string, fn func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(old)
		if r := recover(); r != nil {
			err = corrupt(path, "", nil, fmt.Sprintf("reading pages panicked: %v", r))
		}
	}()
	return fn()
}

// corrupt returns an error that matches store.ErrCorrupt and names the place.
func corrupt(path, bucket string, key []byte, detail string) error {
	return &store.CorruptError{Path: path, Table: bucket, Key: append([]byte(nil), key...), Detail: detail}
}
