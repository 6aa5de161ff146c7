package managers

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/edri-io/edri/event"
)

// DefaultBucket is the bucket of a key whose bucket is left out.
const DefaultBucket = "default"

// NoTTL lets a key never expire, whatever its bucket says.
const NoTTL time.Duration = -1

// KeyChange puts or deletes a key.
type KeyChange struct {
	Bucket string // empty: DefaultBucket
	Key    string
	// Delete deletes the key, in the place of a put.
	Delete bool
	// Value, its media type (empty: none) and after how long it expires (0: as the bucket
	// says; NoTTL) are of a put.
	Value       []byte
	ContentType string
	TTL         time.Duration
	// Expected, where not nil, is the revision that the key must have; 0: it must not be
	// there. Else all effects are refused.
	Expected *event.Position
}

// Put sets a key: value as JSON, or as it is if it is a []byte or a string.
func (e *Effects) Put(bucket, key string, value any) {
	c := KeyChange{Bucket: bucket, Key: key}
	switch value := value.(type) {
	case []byte:
		c.Value = value
	case string:
		c.Value = []byte(value)
	default:
		encoded, err := json.Marshal(value)
		if err != nil && e.err == nil {
			e.err = fmt.Errorf("encode value of key %q: %w", key, err)
		}
		c.Value, c.ContentType = encoded, contentJSON
	}
	e.Keys = append(e.Keys, c)
}

// Delete deletes a key. Append to Keys for more say.
func (e *Effects) Delete(bucket, key string) {
	e.Keys = append(e.Keys, KeyChange{Bucket: bucket, Key: key, Delete: true})
}

// Key is a key as it is.
type Key struct {
	Bucket, Key string
	Value       []byte
	ContentType string
	// Revision is the position of its last change.
	Revision event.Position
	Expires  time.Time // zero: never
}

// KeyReader is a Cluster that reads keys, all that was acknowledged before included, for
// process workers. The error of a key that is not there is not_found.
type KeyReader interface {
	ReadKey(ctx context.Context, bucket, key string) (Key, error)
}
