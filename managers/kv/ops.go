package kv

import (
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
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
	f := wire.Walk(b)
	for f.Next() {
		switch {
		case f.Number == 1:
			f.SetBytes(&o.name)
		case f.Number == 2:
			f.SetBytes(&o.config)
		case f.Number == 3 && ensure:
			f.SetBool(&o.ensure)
		default:
			f.Unknown()
		}
	}
	return o, f.Err()
}

// decodeDeleteBucket reads an edri.v1.DeleteBucket.
func decodeDeleteBucket(b []byte) (name []byte, err error) {
	f := wire.Walk(b)
	for f.Next() {
		if f.Number == 1 {
			f.SetBytes(&name)
		} else {
			f.Unknown()
		}
	}
	return name, f.Err()
}

func decodePut(b []byte) (putOp, error) {
	o := putOp{expected: revisionAny}
	f := wire.Walk(b)
	for f.Next() {
		switch f.Number {
		case 1:
			f.SetBytes(&o.bucket)
		case 2:
			f.SetBytes(&o.key)
		case 3:
			f.SetBytes(&o.value)
		case 4:
			f.SetBytes(&o.contentType)
		case 5:
			f.SetInt64(&o.ttl)
			o.ttlGiven = true
		case 6:
			setRevision(&f, &o.expected)
		default:
			f.Unknown()
		}
	}
	return o, f.Err()
}

func decodeDelete(b []byte) (deleteOp, error) {
	o := deleteOp{expected: revisionAny}
	f := wire.Walk(b)
	for f.Next() {
		switch f.Number {
		case 1:
			f.SetBytes(&o.bucket)
		case 2:
			f.SetBytes(&o.key)
		case 3:
			setRevision(&f, &o.expected)
		case 4:
			f.SetBool(&o.purge)
		default:
			f.Unknown()
		}
	}
	return o, f.Err()
}

func decodeCompare(b []byte) (compareOp, error) {
	var o compareOp
	f := wire.Walk(b)
	for f.Next() {
		if f.Number > 2 && o.condition != condNone {
			f.Failf("more than one condition")
			break
		}
		switch f.Number {
		case 1:
			f.SetBytes(&o.bucket)
		case 2:
			f.SetBytes(&o.key)
		case 3:
			var revision int64
			setRevision(&f, &revision)
			o.condition, o.revision = condRevision, event.Position(revision)
		case 4:
			f.SetBool(&o.exists)
			o.condition = condExists
		case 5:
			f.SetBytes(&o.value)
			o.condition = condValue
		default:
			f.Unknown()
		}
	}
	return o, f.Err()
}

func decodeGet(b []byte) (getOp, error) {
	var o getOp
	f := wire.Walk(b)
	for f.Next() {
		switch f.Number {
		case 1:
			f.SetBytes(&o.bucket)
		case 2:
			f.SetBytes(&o.key)
		default:
			f.Unknown()
		}
	}
	return o, f.Err()
}

// setRevision takes a revision, which is a position.
func setRevision(f *wire.Fields, dst *int64) {
	if f.Within(1<<63 - 1) {
		*dst = int64(f.Value)
	}
}
