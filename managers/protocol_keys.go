package managers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/edri-io/edri/event"
)

const (
	// A worker's reads that are under way at a time; it is not read from beyond that.
	maxGets = 16
	// maxGetTime is how long a read may take.
	maxGetTime = 10 * time.Second
)

// workerPut and workerDelete are effects of an ack.
type workerPut struct {
	Bucket      string          `json:"bucket"`
	Key         string          `json:"key"`
	Value       json.RawMessage `json:"value"`
	ValueBase64 []byte          `json:"valueBase64"`
	ContentType string          `json:"contentType"`
	// TTLMs is after how many milliseconds it expires; 0: never; absent: as the bucket says.
	TTLMs    *int64       `json:"ttlMs"`
	Expected expectedJSON `json:"expected"`
}

type workerDelete struct {
	Bucket   string       `json:"bucket"`
	Key      string       `json:"key"`
	Expected expectedJSON `json:"expected"`
}

// workerGet asks for a key; the id finds its answer.
type workerGet struct {
	ID     uint64 `json:"id"`
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
}

// valueMessage answers a get: the value as JSON where its content type says so, else as
// a string, else in base64.
type valueMessage struct {
	ID          uint64          `json:"id"`
	Found       bool            `json:"found"`
	Value       json.RawMessage `json:"value,omitempty"`
	ValueBase64 []byte          `json:"valueBase64,omitempty"`
	ContentType string          `json:"contentType,omitempty"`
	Revision    uint64          `json:"revision,string"`
	Expires     string          `json:"expires,omitempty"`
	// Error is why it could not be read.
	Error string `json:"error,omitempty"`
}

// keyEffects appends what an ack does with keys.
func (a *workerAck) keyEffects(e *Effects) error {
	for i, w := range a.Put {
		c, err := w.change()
		if err != nil {
			return fmt.Errorf("put %d: %w", i, err)
		}
		e.Keys = append(e.Keys, c)
	}
	for i, w := range a.Delete {
		expected, err := w.Expected.revision()
		if err != nil {
			return fmt.Errorf("delete %d: %w", i, err)
		}
		e.Keys = append(e.Keys, KeyChange{Bucket: w.Bucket, Key: w.Key, Delete: true, Expected: expected})
	}
	return nil
}

func (w *workerPut) change() (KeyChange, error) {
	c := KeyChange{Bucket: w.Bucket, Key: w.Key, ContentType: w.ContentType, Value: w.ValueBase64}
	var err error
	if c.Expected, err = w.Expected.revision(); err != nil {
		return c, err
	}
	if w.TTLMs != nil {
		switch ms := *w.TTLMs; {
		case ms == 0:
			c.TTL = NoTTL
		case ms < 0 || ms > int64(maxTTL/time.Millisecond):
			return c, event.Errorf(event.CodeInvalid, "ttlMs %d is not within 0 and %d", ms, int64(maxTTL/time.Millisecond))
		default:
			c.TTL = time.Duration(ms) * time.Millisecond
		}
	}
	switch {
	case (len(w.Value) > 0) == (w.ValueBase64 != nil):
		return c, event.Errorf(event.CodeInvalid, "key %q: give one of value and valueBase64", w.Key)
	case len(w.Value) == 0:
		return c, nil
	}
	if w.Value[0] == '"' && !isJSONType(w.ContentType) {
		var text string
		if err := json.Unmarshal(w.Value, &text); err != nil {
			return c, err
		}
		c.Value = []byte(text)
		return c, nil
	}
	if c.Value = bytes.Clone(w.Value); c.ContentType == "" {
		c.ContentType = contentJSON
	}
	return c, nil
}

// maxTTL is the longest time to live that any cluster takes.
const maxTTL = 100 * 365 * 24 * time.Hour

// revision is what is expected of a key, which exists is not; nil: nothing.
func (x expectedJSON) revision() (*event.Position, error) {
	switch expected := x.orAny(); {
	case expected == event.ExpectAny:
		return nil, nil
	case expected == event.ExpectExists:
		return nil, event.Errorf(event.CodeInvalid, "expected: exists is of streams alone; give any or a revision")
	default:
		revision := event.Position(expected)
		return &revision, nil
	}
}

func isJSONType(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	return err == nil && (t == contentJSON || strings.HasSuffix(t, "+json"))
}

// read answers a get.
func (g *workerGet) read(ctx context.Context, keys KeyReader) hostMessage {
	m := &valueMessage{ID: g.ID}
	if keys == nil {
		m.Error = "keys cannot be read here"
		return hostMessage{Value: m}
	}
	bucket := g.Bucket
	if bucket == "" {
		bucket = DefaultBucket
	}
	ctx, cancel := context.WithTimeout(ctx, maxGetTime)
	defer cancel()
	k, err := keys.ReadKey(ctx, bucket, g.Key)
	var known *event.Error
	switch {
	case err == nil:
		m.take(&k)
	case errors.As(err, &known) && known.Code == event.CodeNotFound:
	default:
		m.Error = cut(err.Error(), maxLogLine)
	}
	return hostMessage{Value: m}
}

// quoted is a JSON string of valid UTF-8, as legible as it can be.
func quoted(text string) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a string always can be
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func (m *valueMessage) take(k *Key) {
	m.Found, m.ContentType, m.Revision = true, k.ContentType, uint64(k.Revision)
	if !k.Expires.IsZero() {
		m.Expires = k.Expires.UTC().Format(time.RFC3339Nano)
	}
	switch {
	case isJSONType(k.ContentType) && json.Valid(k.Value):
		m.Value = k.Value
	case utf8.Valid(k.Value):
		m.Value = quoted(string(k.Value))
	default:
		m.ValueBase64 = k.Value
	}
}
