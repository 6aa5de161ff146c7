package client

import (
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/edri-io/edri/api/edriv1"
	"github.com/edri-io/edri/api/edriv1/wire"
	"github.com/edri-io/edri/event"
	"github.com/edri-io/edri/managers"
)

// Numbers of operations in edri.v1.Op.
const (
	opCreateBucket   = 40
	opUpdateBucket   = 41
	opDeleteBucket   = 42
	opPutKey         = 43
	opDeleteKey      = 44
	opCompareKey     = 45
	opKeyTransaction = 46
)

// NoTTL lets a key never expire, whatever its bucket says.
const NoTTL = managers.NoTTL

// PutOptions are what a put says beside key and value.
type PutOptions struct {
	// ContentType is a media type; empty: none.
	ContentType string
	// TTL is after how long the key expires; 0: as the bucket says; or NoTTL.
	TTL time.Duration
	// Expected, where not nil, is the revision that the key must have; 0: it must not be
	// there.
	Expected *event.Position
}

// DeleteOptions are what a delete says beside the key.
type DeleteOptions struct {
	// Expected, where not nil, is the revision that the key must have.
	Expected *event.Position
	// Purge deletes the key's history too.
	Purge bool
}

// KeyChanged is what came of a put or a delete.
type KeyChanged struct {
	// Revision of the change; 0: what was to be deleted was not there.
	Revision event.Position
	// Previous is the revision before; 0: the key was not there.
	Previous event.Position
}

// PutKeyOp returns the operation that sets a key. Like those below it can stand in any
// commit, beside appends.
func PutKeyOp(bucket, key string, value []byte, o PutOptions) Op {
	return keyOp(opPutKey, putMessage(bucket, key, value, o))
}

func putMessage(bucket, key string, value []byte, o PutOptions) *edriv1.PutKey {
	m := &edriv1.PutKey{Bucket: bucket, Key: key, Value: value, ContentType: o.ContentType, Revision: (*uint64)(o.Expected)}
	switch o.TTL {
	case 0:
	case NoTTL:
		m.Ttl = proto.Int64(0)
	default:
		m.Ttl = proto.Int64(int64(o.TTL))
	}
	return m
}

// DeleteKeyOp returns the operation that deletes a key.
func DeleteKeyOp(bucket, key string, o DeleteOptions) Op {
	return keyOp(opDeleteKey, deleteMessage(bucket, key, o))
}

func deleteMessage(bucket, key string, o DeleteOptions) *edriv1.DeleteKey {
	return &edriv1.DeleteKey{Bucket: bucket, Key: key, Revision: (*uint64)(o.Expected), Purge: o.Purge}
}

// KeyCondition is what a commit or a transaction asks of a key.
type KeyCondition struct{ message *edriv1.CompareKey }

// KeyAt asks for a key at a revision; 0: that is not there.
func KeyAt(bucket, key string, revision event.Position) KeyCondition {
	return KeyCondition{&edriv1.CompareKey{Bucket: bucket, Key: key, Condition: &edriv1.CompareKey_Revision{Revision: uint64(revision)}}}
}

// KeyExists asks for a key that is, or is not, there.
func KeyExists(bucket, key string, exists bool) KeyCondition {
	return KeyCondition{&edriv1.CompareKey{Bucket: bucket, Key: key, Condition: &edriv1.CompareKey_Exists{Exists: exists}}}
}

// KeyHas asks for a key with a value.
func KeyHas(bucket, key string, value []byte) KeyCondition {
	return KeyCondition{&edriv1.CompareKey{Bucket: bucket, Key: key, Condition: &edriv1.CompareKey_Value{Value: value}}}
}

// CompareKeyOp returns the operation that lets its commit fail with revision_conflict
// where the condition does not hold.
func CompareKeyOp(c KeyCondition) Op { return keyOp(opCompareKey, c.message) }

// KeyTxn is a transaction: then if all conditions hold, else otherwise.
type KeyTxn struct {
	If              []KeyCondition
	Then, Otherwise []KeyStep
}

// KeyStep is an operation of a transaction.
type KeyStep struct{ message *edriv1.KeyOp }

// PutKey sets a key in a transaction.
func PutKey(bucket, key string, value []byte, o PutOptions) KeyStep {
	return KeyStep{&edriv1.KeyOp{Op: &edriv1.KeyOp_Put{Put: putMessage(bucket, key, value, o)}}}
}

// DeleteKey deletes a key in a transaction.
func DeleteKey(bucket, key string, o DeleteOptions) KeyStep {
	return KeyStep{&edriv1.KeyOp{Op: &edriv1.KeyOp_Delete{Delete: deleteMessage(bucket, key, o)}}}
}

// GetKey reads a key in a transaction. All values that one gets have at most 64 KiB.
func GetKey(bucket, key string) KeyStep {
	return KeyStep{&edriv1.KeyOp{Op: &edriv1.KeyOp_Get{Get: &edriv1.GetKey{Bucket: bucket, Key: key}}}}
}

// KeyTxnResult is what came of a transaction.
type KeyTxnResult struct {
	// Succeeded: the conditions held, and then was done.
	Succeeded bool
	// Steps has one entry for each step that was done, in order.
	Steps []KeyStepResult
}

// KeyStepResult is what a put or delete changed, or what a get found; nil: nothing.
type KeyStepResult struct {
	KeyChanged
	Entry *KeyEntry
}

// KeyTxnOp returns the operation that is a transaction.
func KeyTxnOp(t KeyTxn) Op { return keyOp(opKeyTransaction, keyTxnMessage(t)) }

func keyTxnMessage(t KeyTxn) *edriv1.KeyTransaction {
	m := &edriv1.KeyTransaction{}
	for _, c := range t.If {
		m.Compare = append(m.Compare, c.message)
	}
	for _, s := range t.Then {
		m.Then = append(m.Then, s.message)
	}
	for _, s := range t.Otherwise {
		m.Otherwise = append(m.Otherwise, s.message)
	}
	return m
}

// newKeyTxn is the other way of keyTxnMessage.
func newKeyTxn(m *edriv1.KeyTransaction) *KeyTxn {
	t := &KeyTxn{}
	for _, c := range m.GetCompare() {
		t.If = append(t.If, KeyCondition{c})
	}
	for _, s := range m.GetThen() {
		t.Then = append(t.Then, KeyStep{s})
	}
	for _, s := range m.GetOtherwise() {
		t.Otherwise = append(t.Otherwise, KeyStep{s})
	}
	return t
}

func keyOp(number int32, m proto.Message) Op {
	body, err := proto.Marshal(m)
	if err != nil {
		return Op{err: event.Errorf(event.CodeInvalid, "encode operation: %v", err)} // a text that is not UTF-8
	}
	return Op{encoded: wire.AppendOp(nil, number, body, nil)}
}

// newKeyTxnResult decodes an edri.v1.KeyTransactionDone.
func newKeyTxnResult(b []byte) (*KeyTxnResult, error) {
	m := &edriv1.KeyTransactionDone{}
	if err := proto.Unmarshal(b, m); err != nil {
		return nil, event.Errorf(event.CodeInternal, "decode the result of a transaction: %v", err)
	}
	result := &KeyTxnResult{Succeeded: m.Succeeded, Steps: make([]KeyStepResult, len(m.Results))}
	for i, r := range m.Results {
		if c := r.GetChanged(); c != nil {
			result.Steps[i].KeyChanged = KeyChanged{event.Position(c.Revision), event.Position(c.Previous)}
		}
		if e := r.GetEntry(); e != nil {
			entry := newKeyEntry(e)
			result.Steps[i].Entry = &entry
		}
	}
	return result, nil
}
