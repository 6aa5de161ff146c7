package event

import (
	"fmt"
	"strings"
	"time"
)

// Bounds and defaults of a subscription.
const (
	DefaultAckWait     = 30 * time.Second
	DefaultMaxDeliver  = 10
	DefaultMaxInFlight = 1000
	DefaultMaxPending  = 100_000
	// How long, and how far from the end of the journal, retention is held back.
	DefaultMaxHoldAge   = 7 * 24 * time.Hour
	DefaultMaxHoldBytes = 10 << 30

	minAckWait     = 100 * time.Millisecond
	maxAckWait     = 24 * time.Hour
	maxBackoff     = 7 * 24 * time.Hour
	maxBackoffs    = 32
	maxDeliverMost = 100
	maxInFlight    = 100_000
	maxPending     = 1_000_000
	maxPriority    = 100
	maxDescription = 8 << 10
	minHoldAge     = time.Second
	maxHoldAge     = 10 * 365 * 24 * time.Hour
	minHoldBytes   = 1 << 20
	maxHoldBytes   = 1 << 50
)

// DefaultBackoff returns the waits before the second, third, … attempt.
func DefaultBackoff() []time.Duration {
	return []time.Duration{time.Second, 5 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute}
}

// Subscription is what a subscription selects and how it delivers. What is zero is
// the default.
type Subscription struct {
	Name   string
	Filter Filter
	// OrderingKey says what events have in common that are delivered one after the
	// other: OrderByPartitionKey, OrderByStream, OrderBySubject or a JSON pointer
	// into the data. Empty, and events without the key: no order.
	OrderingKey string
	// AckWait is how long a member may keep a delivery; 100 ms to 24 h.
	AckWait time.Duration
	// MaxDeliver is after how many attempts an event goes to the dead letters; 1 to 100.
	MaxDeliver int
	// Backoff are the waits before the second, third, … attempt; the last repeats.
	Backoff []time.Duration
	// MaxInFlight is how many deliveries are out at a time.
	MaxInFlight int
	// MaxPending is how many events at or below the cursor may wait to be done.
	MaxPending int
	// Priority says which of the subscriptions with work are served first: the
	// higher; -100 to 100.
	Priority int
	// DeadLetterStream gets what was given up; default "dead/" and the name.
	DeadLetterStream string
	// MaxHoldAge is up to which age an event that the subscription has not done, or
	// keeps as a dead letter, is kept from retention; 1 s to 10 years. What it loses
	// then an event says.
	MaxHoldAge time.Duration
	// MaxHoldBytes is the same in bytes of the journal after the event, in whole
	// segments; 1 MiB to 1 PiB. Whichever is reached first holds.
	MaxHoldBytes int64
	Description  string
	// Version of this definition, to be raised when it changes: of several the newest
	// wins, and who subscribes with an older one is refused with exists.
	Version uint32
}

// Ordering keys that are no JSON pointer.
const (
	OrderByPartitionKey = "partitionkey"
	OrderByStream       = "stream"
	OrderBySubject      = "subject"
)

// Normalised returns the subscription with defaults for what is zero, or an *Error
// with code invalid or too_large that names the field.
func (s Subscription) Normalised() (Subscription, error) {
	if s.AckWait == 0 {
		s.AckWait = DefaultAckWait
	}
	if s.MaxDeliver == 0 {
		s.MaxDeliver = DefaultMaxDeliver
	}
	if len(s.Backoff) == 0 {
		s.Backoff = DefaultBackoff()
	}
	if s.MaxInFlight == 0 {
		s.MaxInFlight = DefaultMaxInFlight
	}
	if s.MaxPending == 0 {
		s.MaxPending = DefaultMaxPending
	}
	if s.MaxHoldAge == 0 {
		s.MaxHoldAge = DefaultMaxHoldAge
	}
	if s.MaxHoldBytes == 0 {
		s.MaxHoldBytes = DefaultMaxHoldBytes
	}
	if s.DeadLetterStream == "" {
		s.DeadLetterStream = "dead/" + s.Name
	}
	if err := s.check(); err != nil {
		return s, err
	}
	return s, nil
}

func (s *Subscription) check() error {
	if err := CheckName("subscription", []byte(s.Name)); err != nil {
		return err
	}
	if err := CheckName("dead-letter stream", []byte(s.DeadLetterStream)); err != nil {
		return err
	}
	if err := CheckUnreserved(s.DeadLetterStream, ""); err != nil {
		return Errorf(CodeInvalid, "dead-letter stream: %v", err)
	}
	if err := s.Filter.Validate(); err != nil {
		return err
	}
	if err := checkOrderingKey(s.OrderingKey); err != nil {
		return err
	}
	if err := checkRange("ack_wait", s.AckWait, minAckWait, maxAckWait); err != nil {
		return err
	}
	if err := checkRange("max_hold_age", s.MaxHoldAge, minHoldAge, maxHoldAge); err != nil {
		return err
	}
	if err := checkRange("max_hold_bytes", s.MaxHoldBytes, minHoldBytes, maxHoldBytes); err != nil {
		return err
	}
	if len(s.Backoff) > maxBackoffs {
		return TooLarge("waits of a backoff", int64(len(s.Backoff)), maxBackoffs)
	}
	for _, wait := range s.Backoff {
		if err := checkRange("backoff", wait, 0, maxBackoff); err != nil {
			return err
		}
	}
	for _, bound := range []struct {
		name          string
		value, lo, hi int
	}{
		{"max_deliver", s.MaxDeliver, 1, maxDeliverMost},
		{"max_in_flight", s.MaxInFlight, 1, maxInFlight},
		{"max_pending", s.MaxPending, 1, maxPending},
		{"priority", s.Priority, -maxPriority, maxPriority},
	} {
		if err := checkRange(bound.name, bound.value, bound.lo, bound.hi); err != nil {
			return err
		}
	}
	if len(s.Description) > maxDescription {
		return TooLarge("description in bytes", int64(len(s.Description)), maxDescription)
	}
	return textError("description", s.Description)
}

// textError is checkText for what may be nil as an error.
func textError(what, s string) error {
	if err := checkText(what, s); err != nil {
		return err
	}
	return nil
}

func checkRange[T ~int | ~int64](name string, value, lo, hi T) error {
	if value < lo || value > hi {
		return Errorf(CodeInvalid, "%s %v is not within %v and %v", name, value, lo, hi)
	}
	return nil
}

func checkOrderingKey(key string) error {
	switch key {
	case "", OrderByPartitionKey, OrderByStream, OrderBySubject:
		return nil
	}
	if !strings.HasPrefix(key, "/") || len(key) > MaxNameBytes {
		return Errorf(CodeInvalid, "ordering key %s: is none of partitionkey, stream, subject, and no JSON pointer", quote(key))
	}
	if err := textError("ordering key", key); err != nil {
		return err
	}
	for rest := key; ; {
		i := strings.IndexByte(rest, '~')
		if i < 0 {
			return nil
		}
		if i+1 == len(rest) || rest[i+1] != '0' && rest[i+1] != '1' {
			return Errorf(CodeInvalid, "ordering key %s: a ~ in a JSON pointer is written ~0", quote(key))
		}
		rest = rest[i+2:]
	}
}

// EffectID names the effects of a delivery, the same for each of its attempts: what a
// system outside deduplicates by.
func EffectID(subscription string, generation uint64, p Position) string {
	return fmt.Sprintf("%s/%d/%d", subscription, generation, p)
}
