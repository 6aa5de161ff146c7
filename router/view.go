package router

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"iter"
	"strings"

	"github.com/edri-io/edri/consensus"
	"github.com/edri-io/edri/event"
)

// Subscription is a subscription as the state has it.
type Subscription struct {
	// Config has the defaults for what was left out.
	Config     event.Subscription
	Generation uint64
	// ID is the first generation, under which the dead letters are.
	ID     uint64
	Paused bool
	Note   string
	// Cursor: every event at or below it that matches is done, pending or dead.
	Cursor event.Position
	// Wire is the edri.v1.SubscriptionConfig as it came.
	Wire []byte
}

// SubscriptionOf returns the subscription of a name, false if there is none.
func SubscriptionOf(v *consensus.View, name string) (Subscription, bool, error) {
	row, err := v.Get(machineName, subscriptionKey(name))
	if row == nil || err != nil {
		return Subscription{}, false, err
	}
	s, err := readSubscription(v, name, row)
	return s, err == nil, err
}

// Subscriptions yields the subscriptions whose names begin with prefix and come after
// the name after, in the order of their bytes. The sequence ends with an error.
func Subscriptions(v *consensus.View, prefix, after string) iter.Seq2[Subscription, error] {
	lo := subscriptionKey(prefix)
	if after >= prefix && after != "" {
		lo = append(subscriptionKey(after), 0)
	}
	return func(yield func(Subscription, error) bool) {
		it := v.Scan(machineName, lo, []byte{kindSubscription + 1}, false)
		defer it.Close()
		for it.Next() {
			name := string(it.Key()[1:])
			if !strings.HasPrefix(name, prefix) {
				break
			}
			s, err := readSubscription(v, name, it.Value())
			if !yield(s, err) || err != nil {
				return
			}
		}
		if err := it.Err(); err != nil {
			yield(Subscription{}, err)
		}
	}
}

func readSubscription(v *consensus.View, name string, row []byte) (Subscription, error) {
	s, err := parseSubscription(row)
	if err != nil {
		return Subscription{}, err
	}
	out := Subscription{Generation: s.generation, ID: s.id, Paused: s.paused, Note: string(s.note), Wire: bytes.Clone(s.config)}
	if out.Config, err = readConfig(name, s.config); err != nil {
		return Subscription{}, fmt.Errorf("%w: config of %q: %v", errRow, name, err)
	}
	row, err = v.Get(machineName, numberKey(kindProgress, s.generation))
	if err != nil {
		return Subscription{}, err
	}
	g, err := parseProgress(row)
	if err != nil {
		return Subscription{}, err
	}
	out.Cursor = g.cursor
	return out, nil
}

// Pending is an event of a generation that is not done.
type Pending struct {
	Position event.Position
	Attempts int    // that have failed
	Due      int64  // when it is ready, in nanoseconds since 1970; 0: it is
	Key      uint64 // hash of what orders it, 0: nothing
}

// PendingOf yields the pending events of a generation, oldest first. The sequence ends
// with an error.
func PendingOf(v *consensus.View, generation uint64) iter.Seq2[Pending, error] {
	return func(yield func(Pending, error) bool) {
		it := v.Scan(machineName, eventKey(kindPending, generation, 0), eventsEnd(kindPending, generation), false)
		defer it.Close()
		for it.Next() {
			if !isPending(it.Value()) {
				continue
			}
			p, err := parsePending(it.Value())
			if !yield(Pending{Position: positionOf(it.Key()), Attempts: p.failures.count, Due: p.due, Key: p.key}, err) || err != nil {
				return
			}
		}
		if err := it.Err(); err != nil {
			yield(Pending{}, err)
		}
	}
}

// GarbageOf returns the number of a generation or id that is to be swept, false if
// there is none.
func GarbageOf(v *consensus.View) (number uint64, ok bool, err error) {
	it := v.Scan(machineName, []byte{kindGarbage}, []byte{kindGarbage + 1}, false)
	defer it.Close()
	if !it.Next() {
		return 0, false, it.Err()
	}
	return binary.BigEndian.Uint64(it.Key()[1:]), true, nil
}
