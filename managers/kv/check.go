package kv

import (
	"errors"
	"fmt"
	"time"

	"github.com/edri-io/edri/event"
)

// Check implements consensus.StateMachine.
func (m *Machine) Check(op uint32, body []byte) error {
	switch op {
	case opCreateBucket:
		return check(body, decodeCreateBucket, checkBucket)
	case opUpdateBucket:
		return check(body, decodeUpdateBucket, checkBucket)
	case opDeleteBucket:
		return check(body, decodeDeleteBucket, func(name []byte) error { return checkBucketName("name", name) })
	case opPut:
		return check(body, decodePut, func(o putOp) error { return m.checkPut("", &o) })
	case opDelete:
		return check(body, decodeDelete, func(o deleteOp) error { return checkPlace("", o.bucket, o.key) })
	case opCompare:
		return check(body, decodeCompare, func(o compareOp) error { return m.checkCompare("", &o) })
	case opTransact:
		return check(body, decodeTransact, m.checkTransact)
	}
	return event.Errorf(event.CodeInvalid, "unknown operation %d", op)
}

func check[T any](body []byte, decode func([]byte) (T, error), holds func(T) error) error {
	o, err := decode(body)
	var known *event.Error
	switch {
	case errors.As(err, &known):
		return known
	case err != nil:
		return event.Errorf(event.CodeInvalid, "decode operation: %v", err)
	}
	return holds(o)
}

func checkBucket(o bucketOp) error {
	if err := checkBucketName("name", o.name); err != nil {
		return err
	}
	_, err := decodeConfig(o.config)
	return err
}

// CheckBucketName returns an *event.Error unless name is one that a bucket may have.
func CheckBucketName(name string) error { return checkBucketName("bucket", []byte(name)) }

// checkBucketName checks the name in a field of an operation.
func checkBucketName(field string, name []byte) error {
	if len(name) > MaxBucketName {
		return event.TooLarge(field+" in bytes", int64(len(name)), int64(MaxBucketName))
	}
	return event.CheckName(field, name)
}

// CheckKey returns an *event.Error unless key is one that a key may have.
func CheckKey(key string) error { return checkKey("key", []byte(key)) }

func checkKey(field string, key []byte) error {
	if len(key) == 0 {
		return event.Errorf(event.CodeInvalid, "%s: is missing", field)
	}
	return event.CheckText(field, key, MaxKeyBytes)
}

// checkPlace checks the bucket and key in the fields of an operation; in says within
// what they are.
func checkPlace(in string, bucket, key []byte) error {
	if err := checkBucketName(in+"bucket", bucket); err != nil {
		return err
	}
	return checkKey(in+"key", key)
}

func (m *Machine) checkPut(in string, o *putOp) error {
	if err := checkPlace(in, o.bucket, o.key); err != nil {
		return err
	}
	if err := checkTTL(in+"ttl", time.Duration(o.ttl)); err != nil {
		return err
	}
	if limit := min(m.Limits.EventData, MaxValueBytes); len(o.value) > limit {
		return event.TooLarge(in+"value in bytes", int64(len(o.value)), int64(limit))
	}
	if len(o.contentType) == 0 {
		return nil
	}
	typed := event.Event{ID: "1", Source: Source, Type: typePut, DataContentType: string(o.contentType)}
	if err := typed.Validate(); err != nil {
		return event.Errorf(event.CodeInvalid, "%scontent_type %q: is not a media type", in, o.contentType)
	}
	return nil
}

func (m *Machine) checkCompare(in string, o *compareOp) error {
	if err := checkPlace(in, o.bucket, o.key); err != nil {
		return err
	}
	switch {
	case o.condition == condNone:
		return event.Errorf(event.CodeInvalid, "%scondition: is missing", in)
	case len(o.value) > MaxValueBytes:
		return event.TooLarge(in+"value in bytes", int64(len(o.value)), MaxValueBytes)
	}
	return nil
}

func (m *Machine) checkTransact(o transactOp) error {
	if o.size > maxTransaction {
		return event.TooLarge("compare, then and otherwise", int64(o.size), maxTransaction)
	}
	for i := range o.compare {
		if err := m.checkCompare(fmt.Sprintf("compare[%d].", i), &o.compare[i]); err != nil {
			return err
		}
	}
	if err := m.checkKeyOps("then", o.then); err != nil {
		return err
	}
	return m.checkKeyOps("otherwise", o.otherwise)
}

func (m *Machine) checkKeyOps(list string, ops []keyOp) error {
	for i := range ops {
		var err error
		switch o, in := &ops[i], fmt.Sprintf("%s[%d].", list, i); o.op {
		case keyOpPut:
			err = m.checkPut(in+"put.", &o.put)
		case keyOpDelete:
			err = checkPlace(in+"delete.", o.delete.bucket, o.delete.key)
		default:
			err = checkPlace(in+"get.", o.get.bucket, o.get.key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
