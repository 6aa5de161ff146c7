package managers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/edri-io/edri/event"
)

// The protocol between this process and a worker process is described, for those who
// write workers, in docs/worker-protocol.md. A message is a line: a JSON object with
// one member, whose name says what it is.
const (
	protocolVersion = 1
	// maxLineBytes is the longest line that a worker may write.
	maxLineBytes = 8 << 20

	minHeartbeat = 100 * time.Millisecond
	maxHeartbeat = time.Hour
)

// hostMessage is a message to a worker.
type hostMessage struct {
	Hello   *hostHello      `json:"hello,omitempty"`
	Deliver *deliverMessage `json:"deliver,omitempty"`
	Value   *valueMessage   `json:"value,omitempty"`
	Ping    *struct{}       `json:"ping,omitempty"`
	Stop    *struct{}       `json:"stop,omitempty"`
}

type hostHello struct {
	Protocol     int    `json:"protocol"`
	Subscription string `json:"subscription"`
	Instance     int    `json:"instance"`    // from 0
	Concurrency  int    `json:"concurrency"` // as many deliveries at a time
}

type deliverMessage struct {
	ID       uint64 `json:"id"`
	Attempt  int    `json:"attempt"`
	EffectID string `json:"effectId"`
	// TimeoutMs is in how many milliseconds the process is ended if it has not
	// answered.
	TimeoutMs int64 `json:"timeoutMs,omitempty"`
	// Deadline is until when a request may be answered.
	Deadline string          `json:"deadline,omitempty"`
	Event    json.RawMessage `json:"event"`
}

// encode returns the line of a message.
func (m hostMessage) encode() ([]byte, error) {
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		return nil, fmt.Errorf("encode message to worker: %w", err)
	}
	return line.Bytes(), nil
}

func newDeliver(id uint64, d *Delivery, timeout time.Duration) hostMessage {
	m := &deliverMessage{
		ID: id, Attempt: d.Attempt, EffectID: d.EffectID(),
		TimeoutMs: timeout.Milliseconds(), Event: d.Recorded.AppendJSON(nil),
	}
	if !d.Deadline.IsZero() {
		m.Deadline = d.Deadline.UTC().Format(time.RFC3339Nano)
	}
	return hostMessage{Deliver: m}
}

// workerMessage is a message from a worker; one field is set.
type workerMessage struct {
	Hello     *workerHello `json:"hello"`
	Ack       *workerAck   `json:"ack"`
	Nak       *workerEnd   `json:"nak"`
	Park      *workerEnd   `json:"park"`
	Skip      *workerEnd   `json:"skip"`
	Get       *workerGet   `json:"get"`
	Heartbeat *struct{}    `json:"heartbeat"`
}

type workerHello struct {
	Protocol int    `json:"protocol"`
	Name     string `json:"name"`
	// Concurrency is how many deliveries it takes at a time; 0: one.
	Concurrency int `json:"concurrency"`
	// HeartbeatMs is for how long it is silent at most; 0: as long as it likes.
	HeartbeatMs int64 `json:"heartbeatMs"`
}

func (h *workerHello) check() error {
	heartbeat := time.Duration(h.HeartbeatMs) * time.Millisecond
	switch {
	case h.Protocol != protocolVersion:
		return fmt.Errorf("hello: protocol %d is not supported, want %d", h.Protocol, protocolVersion)
	case h.Concurrency < 0 || h.Concurrency > maxConcurrency:
		return fmt.Errorf("hello: concurrency %d is not within 1 and %d", h.Concurrency, maxConcurrency)
	case h.HeartbeatMs != 0 && (h.HeartbeatMs > maxHeartbeat.Milliseconds() || heartbeat < minHeartbeat):
		return fmt.Errorf("hello: heartbeatMs %d is not within %d and %d", h.HeartbeatMs, minHeartbeat.Milliseconds(), maxHeartbeat.Milliseconds())
	}
	return nil
}

type workerAck struct {
	ID      uint64          `json:"id"`
	Append  []workerAppend  `json:"append"`
	Put     []workerPut     `json:"put"`
	Delete  []workerDelete  `json:"delete"`
	Respond json.RawMessage `json:"respond"`
}

type workerAppend struct {
	Stream   string          `json:"stream"`
	Expected expectedJSON    `json:"expected"`
	Event    json.RawMessage `json:"event"`
}

// workerEnd is a nak, a park or a skip.
type workerEnd struct {
	ID      uint64 `json:"id"`
	Reason  string `json:"reason"`
	DelayMs int64  `json:"delayMs"`
}

// expectedJSON is "any", "exists", or a revision as a number or a string; absent: any.
type expectedJSON struct {
	set   bool
	value event.Expected
}

func (x *expectedJSON) UnmarshalJSON(b []byte) (err error) {
	if string(b) == "null" {
		return nil
	}
	text := string(b)
	if b[0] == '"' {
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
	}
	x.value, err = event.ParseExpected(text)
	x.set = true
	return err
}

func (x expectedJSON) orAny() event.Expected {
	if !x.set {
		return event.ExpectAny
	}
	return x.value
}

// decodeMessage reads a line of a worker.
func decodeMessage(line []byte) (workerMessage, error) {
	var m workerMessage
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it is empty")
		}
		return m, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return m, errors.New("something follows the object")
	}
	set := 0
	for _, is := range []bool{m.Hello != nil, m.Ack != nil, m.Nak != nil, m.Park != nil, m.Skip != nil, m.Get != nil, m.Heartbeat != nil} {
		if is {
			set++
		}
	}
	if set != 1 {
		return m, fmt.Errorf("it has %d members, want one of hello, ack, nak, park, skip, get, heartbeat", set)
	}
	return m, nil
}
