package kv

import (
	"bytes"

	"github.com/edri-io/edri/consensus"
)

// Reader reads keys of one view, of which it looks a bucket up once for all keys of it
// that come one after the other. One goroutine at a time may use it.
type Reader struct {
	view   *consensus.View
	bucket []byte // whose id is known; nil: none's
	id     uint64
}

// NewReader returns a reader of a view, valid until that is closed.
func NewReader(v *consensus.View) Reader { return Reader{view: v} }

// AppendEntry appends a key as it is, as an edri.v1.KeyEntry. Without an error like
// not_found, which is an *event.Error, dst has it at its end.
func (r *Reader) AppendEntry(dst, bucket, key []byte) ([]byte, error) {
	if err := r.open(bucket); err != nil {
		return dst, err
	}
	if err := checkKey("key", key); err != nil {
		return dst, err
	}
	row, err := r.view.Get(machineName, entryKey(r.id, key))
	if err != nil {
		return dst, err
	}
	if row == nil {
		return dst, noKey(bucket, key)
	}
	e, err := parseEntry(row)
	if err != nil {
		return dst, err
	}
	return appendEntry(dst, key, &e), nil
}

// open looks a bucket up. The default one need not be there: it is empty, as are the
// rows under id 0.
func (r *Reader) open(name []byte) error {
	if r.bucket != nil && bytes.Equal(r.bucket, name) {
		return nil
	}
	r.bucket = nil
	if err := checkBucketName("bucket", name); err != nil {
		return err
	}
	row, err := r.view.Get(machineName, bucketKey(name))
	if err != nil {
		return err
	}
	var b bucket
	switch {
	case row != nil:
		if b, err = parseBucket(row); err != nil {
			return err
		}
	case string(name) != DefaultBucket:
		return noBucket(name)
	}
	r.bucket, r.id = name, b.id
	return nil
}
