package kv

import (
	"fmt"

	"github.com/edri-io/edri/event"
)

// The operations, which are fields of edri.v1.Op.
const (
	opFirst = 40
	opLast  = 49

	opCreateBucket = 40
	opUpdateBucket = 41
	opDeleteBucket = 42
	opPut          = 43
	opDelete       = 44
	opCompare      = 45
	opTransact     = 46
)

// bucketOp is an edri.v1.CreateBucket or UpdateBucket. Here and below, bytes alias the
// message.
type bucketOp struct {
	name   []byte
	config []byte
	ensure bool
}

// revisionAny is the expectation that anything fulfils.
const revisionAny = -1

// putOp is an edri.v1.PutKey.
type putOp struct {
	bucket, key, value, contentType []byte
	ttl                             int64
	ttlGiven                        bool
	expected                        int64 // revisionAny, or a revision
}

// deleteOp is an edri.v1.DeleteKey.
type deleteOp struct {
	bucket, key []byte
	expected    int64 // revisionAny, or a revision
	purge       bool
}

// condition says what a compareOp asks.
type condition byte

const (
	condNone condition = iota
	condRevision
	condExists
	condValue
)

// compareOp is an edri.v1.CompareKey.
type compareOp struct {
	bucket, key []byte
	condition   condition
	revision    event.Position
	exists      bool
	value       []byte
}

// getOp is an edri.v1.GetKey.
type getOp struct{ bucket, key []byte }

func decodeCreateBucket(b []byte) (bucketOp, error) { return decodeBucketOp(b, true) }

func decodeUpdateBucket(b []byte) (bucketOp, error) { return decodeBucketOp(b, false) }

func decodeBucketOp(b []byte, ensure bool) (bucketOp, error) {
	var o bucketOp
	f := fields{rest: b}
	for f.next() {
		switch {
		case f.number == 1:
			f.setBytes(&o.name)
		case f.number == 2:
			f.setBytes(&o.config)
		case f.number == 3 && ensure:
			f.setBool(&o.ensure)
		default:
			f.unknown()
		}
	}
	return o, f.err
}

// decodeDeleteBucket reads an edri.v1.DeleteBucket.
func decodeDeleteBucket(b []byte) (name []byte, err error) {
	f := fields{rest: b}
	for f.next() {
		if f.number == 1 {
			f.setBytes(&name)
		} else {
			f.unknown()
		}
	}
	return name, f.err
}

func decodePut(b []byte) (putOp, error) {
	o := putOp{expected: revisionAny}
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setBytes(&o.bucket)
		case 2:
			f.setBytes(&o.key)
		case 3:
			f.setBytes(&o.value)
		case 4:
			f.setBytes(&o.contentType)
		case 5:
			f.setInt64(&o.ttl)
			o.ttlGiven = true
		case 6:
			f.setRevision(&o.expected)
		default:
			f.unknown()
		}
	}
	return o, f.err
}

func decodeDelete(b []byte) (deleteOp, error) {
	o := deleteOp{expected: revisionAny}
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setBytes(&o.bucket)
		case 2:
			f.setBytes(&o.key)
		case 3:
			f.setRevision(&o.expected)
		case 4:
			f.setBool(&o.purge)
		default:
			f.unknown()
		}
	}
	return o, f.err
}

func decodeCompare(b []byte) (compareOp, error) {
	var o compareOp
	f := fields{rest: b}
	for f.next() {
		if f.number > 2 && o.condition != condNone {
			f.err = fmt.Errorf("%w: more than one condition", errWire)
			break
		}
		switch f.number {
		case 1:
			f.setBytes(&o.bucket)
		case 2:
			f.setBytes(&o.key)
		case 3:
			var revision int64
			f.setRevision(&revision)
			o.condition, o.revision = condRevision, event.Position(revision)
		case 4:
			f.setBool(&o.exists)
			o.condition = condExists
		case 5:
			f.setBytes(&o.value)
			o.condition = condValue
		default:
			f.unknown()
		}
	}
	return o, f.err
}

func decodeGet(b []byte) (getOp, error) {
	var o getOp
	f := fields{rest: b}
	for f.next() {
		switch f.number {
		case 1:
			f.setBytes(&o.bucket)
		case 2:
			f.setBytes(&o.key)
		default:
			f.unknown()
		}
	}
	return o, f.err
}

// setRevision takes a revision, which is a position.
func (f *fields) setRevision(dst *int64) {
	if f.once(); !f.is(true) {
		return
	}
	if f.value > 1<<63-1 {
		f.err = fmt.Errorf("%w: revision %d is out of range", errWire, f.value)
		return
	}
	*dst = int64(f.value)
}
