package kv

import (
	"bytes"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/internal/wire"
)

// maxGotBytes is how much the values that one transaction gets have together: they are
// part of a result, which is kept for a repeat.
const maxGotBytes = 64 << 10

// compare executes compare_key.
func compare(tx *consensus.Tx, o compareOp) ([]byte, error) {
	holds, actual, err := o.holds(tx)
	if err != nil || holds {
		return nil, err
	}
	switch o.condition {
	case condRevision:
		return nil, conflict(o.bucket, o.key, o.revision, actual)
	case condExists:
		e := event.Errorf(event.CodeRevisionConflict, "key %q of bucket %q exists is %v, expected %v", o.key, o.bucket, actual != 0, o.exists)
		e.Stream, e.Actual, e.Expected = StreamPrefix+string(o.bucket), event.Revision(actual), 0
		if o.exists {
			e.Expected = event.ExpectExists
		}
		return nil, e
	}
	e := event.Errorf(event.CodeRevisionConflict, "key %q of bucket %q, at revision %d, has another value than expected", o.key, o.bucket, actual)
	e.Stream, e.Actual, e.Expected = StreamPrefix+string(o.bucket), event.Revision(actual), event.ExpectExists
	return nil, e
}

// holds reports whether a condition holds, and the revision of its key.
func (o *compareOp) holds(tx *consensus.Tx) (bool, event.Position, error) {
	e, ok, err := lookUp(tx, o.bucket, o.key)
	if err != nil {
		return false, 0, err
	}
	switch o.condition {
	case condRevision:
		return e.revision == o.revision, e.revision, nil
	case condExists:
		return ok == o.exists, e.revision, nil
	}
	return ok && bytes.Equal(e.value, o.value), e.revision, nil
}

// lookUp returns a key of a bucket as it is. The default bucket need not be there.
func lookUp(tx *consensus.Tx, bucket, key []byte) (entry, bool, error) {
	p, err := at(tx, bucket)
	if string(bucket) == DefaultBucket && isNoBucket(err) {
		return entry{}, false, nil
	}
	if err != nil {
		return entry{}, false, err
	}
	return p.entry(key)
}

// transact executes key_transaction.
func (m *Machine) transact(tx *consensus.Tx, o transactOp) ([]byte, error) {
	succeeded, list := true, o.then
	for i := range o.compare {
		holds, _, err := o.compare[i].holds(tx)
		if err != nil {
			return nil, within("compare", i, err)
		}
		if !holds {
			succeeded, list = false, o.otherwise
			break
		}
	}
	name := "then"
	if !succeeded {
		name = "otherwise"
	}
	var results []byte
	got := 0
	for i := range list {
		result, value, err := m.transactOne(tx, &list[i])
		if err != nil {
			return nil, within(name, i, err)
		}
		if got += value; got > maxGotBytes {
			return nil, within(name, i, event.TooLarge("values to get in bytes", int64(got), maxGotBytes))
		}
		results = wire.AppendMessage(results, 2, result)
	}
	return transactionDone(succeeded, results), nil
}

// transactOne executes one operation of a transaction and returns its encoded result,
// and the size of the value in it.
func (m *Machine) transactOne(tx *consensus.Tx, o *keyOp) (result []byte, value int, err error) {
	var r changed
	switch o.op {
	case keyOpPut:
		r, err = m.put(tx, o.put)
	case keyOpDelete:
		r, err = m.delete(tx, o.delete)
	default:
		e, ok, err := lookUp(tx, o.get.bucket, o.get.key)
		if !ok || err != nil {
			return nil, 0, err
		}
		return wire.AppendMessage(nil, 2, appendEntry(nil, o.get.key, &e)), len(e.value), nil
	}
	return wire.AppendMessage(nil, 1, appendChanged(nil, r)), 0, err
}

// within says in an error which part of a transaction it is about. What is not an
// *event.Error stays as it is.
func within(list string, i int, err error) error {
	e, ok := err.(*event.Error)
	if !ok {
		return err
	}
	named := *e
	named.Message = event.Errorf("", "%s[%d]: %s", list, i, e.Message).Message
	return &named
}
