package kv

import (
	"strconv"
	"time"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// Attributes of the events that changes are.
const (
	Source     = "/edri/kv"
	typePrefix = event.OwnTypePrefix + "kv."

	typePut           = typePrefix + "put"
	typeDeleted       = typePrefix + "deleted"
	typeExpired       = typePrefix + "expired"
	typeBucketCreated = typePrefix + "bucket.created"
	typeBucketUpdated = typePrefix + "bucket.updated"
	typeBucketDeleted = typePrefix + "bucket.deleted"

	attrCommit  = "kvcommit"
	attrExpires = "kvexpires"
	attrKey     = "kvkey" // of a key that is too long for a subject
)

// announce appends the event of a change of a key and returns where it stands.
func (p *place) announce(typ string, key []byte, e *entry) (event.Position, error) {
	ev := event.Event{Type: typ, Extensions: map[string]event.Value{}}
	if len(key) <= event.MaxNameBytes {
		ev.Subject = string(key)
	} else {
		ev.Extensions[attrKey] = event.String(string(key))
	}
	if e.kind == KindPut {
		ev.DataContentType, ev.Data = string(e.contentType), e.value
		if ev.Data == nil {
			ev.Data = []byte{} // there, of no bytes
		}
		if e.due > 0 {
			ev.Extensions[attrExpires] = event.Timestamp(time.Unix(0, e.due))
		}
	}
	return appendEvent(p.tx, p.name, &ev)
}

// announceBucket appends the event of a change of a bucket.
func announceBucket(tx *consensus.Tx, name []byte, typ string, config []byte) error {
	ev := event.Event{Type: typ, Extensions: map[string]event.Value{}}
	if typ != typeBucketDeleted {
		c, err := appliedConfig(config)
		if err != nil {
			return err
		}
		ev.DataContentType, ev.Data = "application/json", c.appendJSON(nil)
	}
	_, err := appendEvent(tx, name, &ev)
	return err
}

// appendTries bounds how many ids are tried for an event. A client may have taken some
// of them; that must neither stop the node nor keep it busy.
const appendTries = 100

func appendEvent(tx *consensus.Tx, bucket []byte, ev *event.Event) (event.Position, error) {
	ev.Source = Source
	ev.Extensions[attrCommit] = event.String(tx.Begin().String())
	stream := StreamPrefix + string(bucket)
	for range appendTries {
		ev.ID = strconv.FormatUint(tx.Incarnation(), 10)
		position, revision, err := tx.Append(stream, event.ExpectAny, event.AppendEvent(nil, ev))
		if err == nil && revision != 0 {
			return position, nil
		}
		if err != nil && event.CodeOf(err) != event.CodeIDConflict {
			return 0, err
		}
	}
	return 0, event.Errorf(event.CodeIDConflict, "the ids of %d events of %s are taken by other events", appendTries, Source)
}
